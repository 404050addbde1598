import Testing

@testable import Jinja

/// Templates that ask for too much are refused, and soon.
@Suite struct LimitTests {
    /// Templates that would run for very long, write very much or nest very deeply, and what stops them.
    static let greedy: [(source: String, limit: JinjaError.Limit)] = [
        (
            "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
            .steps
        ),
        (
            "{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
            .output
        ),
        (
            "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
            .steps
        ),
        (
            "{% set n = namespace() %}{% for i in 'a' * 99 %}{% set n.x = [n.x, 1, n.x] %}{% endfor %}{{ n.x }}",
            .output
        ),
        (
            "{% set n = namespace() %}{% for i in 'a' * 60 %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x in [n.x] }}",
            .steps
        ),
        (
            "{% set ns = namespace(x=[1]) %}{% for i in range(999) %}{% set ns.x = [ns.x] %}{% endfor %}",
            .depth
        ),
        (
            "{% set ns = namespace(x={}) %}{% for i in range(999) %}{% set ns.x = {'a': ns.x} %}{% endfor %}",
            .depth
        ),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", .depth),
        ("{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}", .depth),
        ("{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{{ m() }}", .depth),
        ("{% macro m(x=m()) %}{% endmacro %}{{ m() }}", .depth),
        ("{{ 'a' * 100000000 }}", .output),
        ("{{ 'ab' * 9223372036854775807 }}", .output),
        ("{{ [1] * 9223372036854775807 }}", .steps),
        ("{{ ('a' * 4000000)|replace('a', 'bbbbbbbb') }}", .output),
        ("{{ ('a' * 2000)|replace('', 'b' * 4000000) }}", .output),
        ("{{ ('x' * 3000000)|list|length }}", .steps),
        ("{{ 'a'.center(9223372036854775807) }}", .output),
        (
            "{{ ('a' * 100000)|indent('b' * 100000) ~ ('\\n' * 1000)|indent('b' * 100000, blank=true) }}",
            .output
        ),
        ("{{ range(100000)|join('x' * 100000) }}", .output),
        ("{% for i in range(100000) %}{{ 'x' * 1000 }}{% endfor %}", .output),
        ("{% set x %}{% for i in range(100000) %}{{ 'x' * 1000 }}{% endfor %}{% endset %}", .output),
        ("{% set t = 'a' * 4000000 %}{% for i in range(100000) %}{% set y = t|upper %}{% endfor %}", .steps),
        ("{% set t = 'a' * 4000000 %}{% for i in range(100000) %}{% set y = t|length %}{% endfor %}", .steps),
        ("{% set t = 'a' * 4000000 %}{% for i in range(100000) %}{% set y = 'b' in t %}{% endfor %}", .steps),
        ("{% set t = 'a' * 4000000 %}{% for i in range(100000) %}{% set y = t[3] %}{% endfor %}", .steps),
        ("{% for i in range(100000) %}{% set y = range(100000) %}{% endfor %}", .steps),
        ("{% for i in range(100000) %}{% for j in range(100000)|batch(1) %}{% endfor %}{% endfor %}", .steps),
    ]

    @Test(.timeLimit(.minutes(1)), arguments: LimitTests.greedy.map(\.source))
    func `a greedy template is stopped`(source: String) throws {
        let template = try Template(source)
        let expected = Self.greedy.first { $0.source == source }?.limit
        let error = #expect(throws: JinjaError.self) { try template.render([]) }
        guard case .exceeded(_, let limit)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(limit == expected)
    }

    @Test func `a range that is too long is refused at once`() throws {
        for range in [
            "10**9", "0, 10**18", "0 - 10**18, 10**18, 1", "-9223372036854775807, 9223372036854775807",
        ] {
            let error = #expect(throws: JinjaError.self) {
                try Template("{% for i in range(\(range)) %}{% endfor %}").render([])
            }
            #expect(error?.message == "template line 1: a range of more than 100000 numbers")
        }
    }

    @Test func `a search for a repeated pattern takes linear time`() throws {
        let source =
            "{% set a = 'a' * 1000000 %}{% set b = 'a' * 500000 ~ 'b' %}"
            + "{{ b in a }} {{ a.find(b) }} {{ a.rfind('a' * 500000) }} {{ a.count(b) }} "
            + "{{ a.split(b)|length }}"
        #expect(try Template(source).render([]) == "False -1 500000 0 1")
    }

    @Test func `source that nests too deeply is refused`() {
        func repeated(_ text: String, _ count: Int = 10_000) -> String {
            String(repeating: text, count: count)
        }
        let sources = [
            "{{ \(repeated("(")) }}", "{{ \(repeated("["))\(repeated("]")) }}", "{{ \(repeated("-"))1 }}",
            "{{ \(repeated("not ")) 1 }}", "{{ 1\(repeated("+1")) }}", "{{ 1\(repeated(" and 1")) }}",
            "{{ a\(repeated(".a")) }}", "{{ a\(repeated("[0]")) }}", "{{ a\(repeated("()")) }}",
            "{{ a\(repeated("|e")) }}", "{{ a\(repeated(" if a")) }}", "{{ 1\(repeated(" is odd")) }}",
            repeated("{% if a %}"), repeated("{% for a in b %}"), repeated("{% macro m() %}"),
            "{{ \(repeated("{'a':")) }}", "{% set \(repeated("(")) %}", "{{ a\(repeated(" if a else b")) }}",
            "{{ 1 \(repeated("~ -1|e is odd ", 1000)) }}", "{{ \(repeated("f(", 200)) }}",
        ]
        for source in sources {
            #expect(throws: JinjaError.self, "\(source.prefix(40))") { try Template(source).render([]) }
        }
    }

    @Test func `source that is too long is refused`() {
        #expect(throws: JinjaError.self) { try Template(String(repeating: "a", count: (1 << 20) + 1)) }
    }

    @Test func `variables that nest too deeply are refused`() throws {
        var value = Value.int(1)
        for _ in 0..<101 { value = .array([value]) }
        let template = try Template("{{ x }}")
        let error = #expect(throws: JinjaError.self) { try template.render([("x", value)]) }
        #expect(error == .exceeded(line: 1, .depth))
    }

    @Test func `limits can be set`() throws {
        let template = try Template("{% for i in range(10) %}abc{% endfor %}")
        #expect(try template.render([], limits: RenderLimits(maxOutputBytes: 30)).utf8.count == 30)
        #expect(throws: JinjaError.exceeded(line: 1, .output)) {
            try template.render([], limits: RenderLimits(maxOutputBytes: 29))
        }
        #expect(throws: JinjaError.exceeded(line: 1, .steps)) {
            try template.render([], limits: RenderLimits(maxSteps: 20))
        }
        #expect(
            try template.render([], limits: RenderLimits(maxSteps: .max, maxDepth: .max)).utf8.count == 30)
    }

    @Test func `a long conversation stays far below the limits`() throws {
        let source = TemplateFixtures.source("templates/qwen3-thinking.jinja")
        let messages = (0..<1000).map { index in
            Value.members([
                ("role", .string(index % 2 == 0 ? "user" : "assistant")),
                ("content", .string(String(repeating: "words and more words ", count: 100))),
            ])
        }
        let text = try Template(source).render(
            [("messages", .array(messages))], limits: RenderLimits(maxSteps: 500_000))
        #expect(text.utf8.count > 2_000_000)
    }
}
