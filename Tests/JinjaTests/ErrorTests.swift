import Testing

@testable import Jinja

/// What goes wrong is said with its line, and without the values that were given.
@Suite struct ErrorTests {
    private func message(_ source: String, _ variables: [(String, Value)] = []) -> String? {
        do throws(JinjaError) {
            _ = try Template(source).render(variables)
            return nil
        } catch {
            return error.message
        }
    }

    @Test func `syntax errors name their line`() {
        #expect(message("a\n{{ 1 +\n }}") == "template line 3: unexpected '}}', not an expression")
        #expect(message("a\n\n{% nope %}") == "template line 3: the tag 'nope' does not exist here")
        #expect(
            message("{% if a %}\n")
                == "template line 1: unexpected the end of the template, not 'elif' or 'else' or 'endif'")
        #expect(message("\n{{ 'a }}") == "template line 2: a string without its end")
        #expect(message("{# a\n\n") == "template line 1: a comment without its end")
        #expect(message("{{ 99999999999999999999 }}") == "template line 1: a number out of range")
    }

    @Test func `failures name their line and the variable`() {
        #expect(message("\n{{ a.b }}") == "template line 2: 'a' is undefined; it has no 'b'")
        #expect(
            message("{{ a.b.c }}", [("a", .members([]))])
                == "template line 1: attribute 'b' is undefined; it has no 'c'")
        #expect(
            message("{{ a['b'].c }}", [("a", .members([]))])
                == "template line 1: item 'b' is undefined; it has no 'c'")
        #expect(message("\n\n{{ a() }}") == "template line 3: 'a' is undefined and cannot be called")
        #expect(
            message("{{ a + 1 }}", [("a", .string("secret"))])
                == "template line 1: '+' does not work on str and int")
        #expect(message("{{ x|nope }}") == "template line 1: the filter 'nope' does not exist here")
        #expect(message("{{ x is nope }}") == "template line 1: the test 'nope' does not exist here")
        #expect(message("{{ 9223372036854775807 + 1 }}") == "template line 1: a number out of range")
        #expect(message("{% if a %}\n{% endif %}\n{% set a.b = 1 %}")?.hasPrefix("template line 3:") == true)
    }

    @Test func `lines are counted through tags, comments, raw blocks and strings`() {
        let source =
            "{# a\nb #}\n{% raw %}\n\n{% endraw %}\n{{ 'a\nb' }}\n"
            + "{% if\n true -%}\n\n\n{% endif %}\n{{ x.y }}"
        #expect(message(source) == "template line 13: 'x' is undefined; it has no 'y'")
    }

    @Test func `a raised exception carries the template's message`() {
        #expect(message("{{ raise_exception('Roles must alternate') }}") == "Roles must alternate")
        #expect(throws: JinjaError.raised("a1")) { try Template("{{ raise_exception('a' ~ 1) }}").render([]) }
    }

    @Test func `arithmetic at the ends of the integers fails rather than traps`() {
        let least = "(-9223372036854775807 - 1)"
        let sources = [
            "{{ \(least) - 1 }}", "{{ -\(least) }}", "{{ \(least) // -1 }}", "{{ \(least)|abs }}",
            "{{ \(least) * -1 }}",
            "{{ 2 ** 63 }}", "{{ 10 ** 100 }}", "{{ 0 ** -1 }}", "{{ 0.0 ** -1 }}", "{{ 1.5 ** 1.5 }}",
        ]
        for source in sources { #expect(message(source) != nil, "\(source)") }
        let fine = [
            "{{ \(least) % -1 }}": "0", "{{ 1e300|int }}": "0", "{{ (1e308 * 10)|int(7) }}": "7",
            "{{ \(least) is divisibleby(-1) }}": "True", "{{ 2 ** 62 }}": "4611686018427387904",
            "{{ 'abc'[\(least):9223372036854775807:9223372036854775807] }}": "a",
            "{{ 'abc'[::\(least)] }}": "c",
            "{{ [1][\(least)] }}{{ 'a'[\(least)] }}{{ 'a'[9223372036854775807] }}": "",
            "{{ 1.5|round(9223372036854775807) }}": "1.5", "{{ 15|round(\(least)) }}": "0",
            "{{ 1e300|round(2) }}": "1e+300",
            "{{ 'a b'.split(' ', \(least)) }}": "['a', 'b']",
            "{{ 'ab'.replace('a', 'b', 9223372036854775807) }}": "bb",
        ]
        for (source, text) in fine { #expect((try? Template(source).render([])) == text, "\(source)") }
    }
}
