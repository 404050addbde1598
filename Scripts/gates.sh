#!/usr/bin/env bash
# Checks what the compiler and the formatter do not: length of files, words that may not occur, counts that may only
# fall, paths of somebody's machine, and the direction of imports. Prints every finding; exits 1 when there is one.
set -euo pipefail
cd "$(dirname "$0")/.."
source Scripts/common.sh

max_lines=500
failed=0

finding() {
    printf 'gate: %s\n' "$*" >&2
    failed=1
}

# Every file of the project that git knows or would add, by glob; those deleted in the working tree are left out.
files() {
    git ls-files --cached --others --exclude-standard -- "$@" | sort -u | while IFS= read -r file; do
        if [[ -f $file ]]; then printf '%s\n' "$file"; fi
    done
}

mapfile -t swift_files < <(files 'Sources/*.swift')
mapfile -t c_files < <(files 'Sources/*.c' 'Sources/*.h')

step "gate: files of at most $max_lines lines (generated ones say so in their first line)"
for file in "${swift_files[@]}" "${c_files[@]}"; do
    lines=$(wc -l <"$file")
    if ((lines > max_lines)) && ! head -n 1 "$file" | grep -q Generated; then
        finding "$file has $lines lines; split it by idea"
    fi
done

# Prints the lines of Swift files that match an extended regular expression, as FILE:LINE:TEXT, comments left out.
code_matching() {
    [[ ${#swift_files[@]} -gt 0 ]] || return 0
    awk -v pattern="$1" '
        /^[ \t]*\/\// { next }
        { code = $0; sub(/[ \t]\/\/[ \t].*$/, "", code) }
        code ~ pattern { print FILENAME ":" FNR ":" $0 }
    ' "${swift_files[@]}"
}

step "gate: nothing that traps or pulls in a regular-expression engine"
for word in 'try!' 'fatalError[(]' '(^|[^A-Za-z])as!' 'unsafelyUnwrapped' 'NSRegularExpression' \
    '(^|[^A-Za-z"])Regex *[(<{]' ': *Regex([^A-Za-z]|$)' 'import RegexBuilder' 'import Foundation$'; do
    while IFS= read -r hit; do
        finding "$hit"
    done < <(code_matching "$word")
done

# Counts the code lines that match a pattern and have no reason: a "// " comment on the line, in the comments and
# attributes directly above, or on the next line.
count_without_reason() {
    [[ ${#swift_files[@]} -gt 0 ]] || { echo 0 && return; }
    awk -v pattern="$1" '
        function settle() { if (pending && !reason) count++; pending = 0 }
        FNR == 1 { settle(); above = 0 }
        {
            plain = ($0 ~ /(^|[ \t])\/\/ /)
            comment = ($0 ~ /^[ \t]*\/\//)
            if (pending) { if (comment && plain) reason = 1; settle() }
            if (comment) { if (plain) above = 1; next }
            code = $0; sub(/[ \t]\/\/[ \t].*$/, "", code)
            if (code ~ pattern) { pending = 1; reason = (plain || above) }
            if (code !~ /^[ \t]*@[A-Za-z]+$/) above = 0
        }
        END { settle(); print count + 0 }
    ' "${swift_files[@]}"
}

step "gate: counts that may only fall (Scripts/gates.baseline)"
check_count() {
    local name=$1 count allowed
    count=$(count_without_reason "$2")
    allowed=$(awk -v name="$name" '$1 == name { print $2 }' Scripts/gates.baseline)
    [[ -n $allowed ]] || fail "Scripts/gates.baseline has no line '$name'"
    if ((count > allowed)); then
        finding "$name: $count, at most $allowed; say the reason in a // comment beside it, or do without"
    elif ((count < allowed)); then
        finding "$name: $count, and the baseline says $allowed; write $count there, so that it cannot rise again"
    fi
}
check_count unchecked-sendable-without-reason '@unchecked Sendable|nonisolated[(]unsafe[)]'
check_count task-without-reason '(^|[^A-Za-z])Task(\.detached)? *([(][^)]*[)])? *[{]'

step "gate: no path of a particular machine"
while IFS= read -r hit; do
    finding "$hit"
done < <(git grep --untracked -I -nE '/(work|root|farm|home)/|/tmp/[a-z]' -- ':!Tests/Fixtures/models' ':!DemoModel/random' ||
    true)

step "gate: imports go downwards"
Scripts/check-imports.py || failed=1

exit "$failed"
