import Testing

@testable import Jinja

/// What callers hand over, and what needs no golden file.
@Suite struct ValueTests {
    @Test func `a dict keeps the order of its members and the last value of a name`() throws {
        let object = OrderedObject([("b", .int(1)), ("a", .int(2)), ("b", .int(3))])
        #expect(object.count == 2)
        let text = try Template("{{ x }}{{ x|tojson }}").render([("x", .object(object))])
        #expect(text == "{'b': 3, 'a': 2}{\"b\": 3, \"a\": 2}")
    }

    @Test func `names that look alike stay apart`() {
        let object = OrderedObject([("\u{e9}", .int(1)), ("e\u{301}", .int(2))])
        #expect(object.count == 2)
        guard case .int(2)? = object["e\u{301}"] else {
            Issue.record("the decomposed name was not found")
            return
        }
    }

    @Test func `a template renders the same again and at the same time`() async throws {
        let template = try Template(
            "{% set ns = namespace(n=0) %}{% for i in x %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}")
        try await withThrowingTaskGroup(of: String.self) { group in
            for count in 0..<8 {
                group.addTask {
                    try template.render([("x", .array([Value](repeating: .int(count), count: 10)))])
                }
            }
            var results: Set<String> = []
            for try await result in group { results.insert(result) }
            #expect(results == Set((0..<8).map { String($0 * 10) }))
        }
    }

    @Test func `variables come before functions of the same name`() throws {
        #expect(try Template("{{ range }}").render([("range", .int(1))]) == "1")
    }

    @Test func `a template knows which names it mentions`() throws {
        let template = try Template("{% if tools is defined %}{{ messages }}{% endif %}")
        #expect(template.mentions("tools") && template.mentions("messages"))
        #expect(!template.mentions("documents"))
    }

    @Test func `the time exists only if it is given`() throws {
        let template = try Template(
            "{% if strftime_now is defined %}{{ strftime_now('%F %T') }}{% else %}-{% endif %}")
        #expect(try template.render([]) == "-")
        let times = [
            (0, "1970-01-01 00:00:00"), (951_782_400, "2000-02-29 00:00:00"), (-1, "1969-12-31 23:59:59"),
            (4_107_542_399, "2100-02-28 23:59:59"), (1_735_689_599, "2024-12-31 23:59:59"),
            (.min, "1-01-01 00:00:00"),
            (.max, "9999-12-31 23:59:59"),
        ]
        for (seconds, text) in times {
            #expect(try template.render([], now: Moment(secondsSinceEpoch: seconds)) == text)
        }
    }
}
