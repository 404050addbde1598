#!/usr/bin/env python3
"""Checks that a target imports only those of the project's modules that Package.swift gives it.

The compiler lets the dependencies of dependencies pass; this does not. A cycle cannot be declared, so imports only ever
go downwards. Modules of other packages are left to the compiler.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

IMPORT = re.compile(
    r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?import\s+"
    r"(?:(?:struct|class|enum|protocol|func|let|var|typealias)\s+)?(\w+)")

# Modules that do without Foundation, FoundationEssentials included.
WITHOUT_FOUNDATION = {"Tensors", "Scheduling", "CPUBackend", "Images", "Tokenizers", "Jinja", "JSON"}


def targets():
    """Each target's name, folder and declared dependencies."""
    with tempfile.TemporaryDirectory() as scratch:  # not .build, which a running build keeps locked
        command = ["swift", "package", "--scratch-path", scratch, "dump-package"]
        manifest = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    for target in manifest["targets"]:
        folder = target.get("path") or ("Tests/" if target["type"] == "test" else "Sources/") + target["name"]
        yield target["name"], pathlib.Path(folder), {next(iter(each.values()))[0] for each in target["dependencies"]}


def main():
    all_targets = list(targets())
    ours = {name for name, _, _ in all_targets}
    findings = []
    for name, folder, declared in all_targets:
        for file in sorted(folder.rglob("*.swift")):
            for number, line in enumerate(file.read_text().splitlines(), 1):
                found = IMPORT.match(line)
                if not found:
                    continue
                module = found[1]
                if module in ours - declared - {name}:
                    findings.append(f"{file}:{number}: {name} imports {module} without declaring it in Package.swift")
                if module.startswith("Foundation") and name in WITHOUT_FOUNDATION:
                    findings.append(f"{file}:{number}: {name} does without Foundation")
    for finding in findings:
        print("gate:", finding, file=sys.stderr)
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
