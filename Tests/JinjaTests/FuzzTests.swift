import TestRandom
import Testing

@testable import Jinja

/// Broken templates and wrong values end in an error or a text, never in a trap.
@Suite struct FuzzTests {
    private static let limits = RenderLimits(maxSteps: 20_000, maxOutputBytes: 1 << 16)

    private func tryOut(_ source: String, _ variables: [(String, Value)]) {
        _ = try? Template(source).render(variables, limits: Self.limits, now: TemplateFixtures.goldens.now)
    }

    @Test func `changed snippets do not trap`() {
        let (variables, snippets) = TemplateFixtures.snippets
        var generator = SeededRandom(seed: 1)
        for (source, _) in snippets {
            let scalars = Array(source.unicodeScalars)
            for _ in 0..<12 where !scalars.isEmpty {
                var changed = scalars
                let place = Int.random(in: 0..<changed.count, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: changed.remove(at: place)
                case 1: changed.swapAt(place, Int.random(in: 0..<changed.count, using: &generator))
                case 2: changed.removeSubrange(place...)
                default: changed.insert(contentsOf: changed[..<place], at: place)
                }
                tryOut(String(String.UnicodeScalarView(changed)), variables)
            }
        }
    }

    @Test func `every filter, test and method stands every kind of value`() {
        let values: [(String, Value)] = [
            ("a", .undefined), ("b", .none), ("c", .bool(true)), ("d", .int(.min)), ("e", .int(.max)),
            ("f", .double(.nan)),
            ("g", .double(-.infinity)), ("h", .string("")), ("i", .string("é\r\n%(x)s {} {0:>9}%")),
            ("j", .array([])),
            ("k", .array([.int(1), .string("x"), .none, .undefined])), ("l", .members([])),
            ("m", .members([("x", .int(1)), ("items", .none)])), ("n", .tuple([.int(0), .double(1e300)])),
            ("o", .runtime(.namespace(99))), ("p", .runtime(.loop(99))), ("q", .runtime(.macro(99))),
            ("r", .runtime(.method(of: .runtime(.loop(3)), name: "cycle"))), ("s", .int(-1)),
            ("t", .double(0.5)),
        ]
        let names = values.map(\.0)
        for value in names {
            for argument in ["", "a", "b", "d", "e", "f", "i", "k", "m", "s, s", "attribute=i"] {
                for filter in Self.filters { tryOut("{{ \(value)|\(filter)(\(argument)) }}", values) }
                for test in Self.tests { tryOut("{{ \(value) is \(test)(\(argument)) }}", values) }
                for method in Self.methods { tryOut("{{ \(value).\(method)(\(argument)) }}", values) }
                for operation in ["+", "-", "*", "/", "//", "%", "**", "~", "<", "==", "in", "not in"] {
                    tryOut("{{ \(value) \(operation) (\(argument)) }}", values)
                }
                tryOut(
                    "{{ \(value)[\(argument)] }}{{ \(value)[\(argument):] }}{{ \(value)[:\(argument)] }}",
                    values)
                tryOut("{{ \(value)[::\(argument)] }}{{ range(\(argument)) }}{{ -\(value) }}", values)
                tryOut(
                    "{{ strftime_now(\(argument)) }}{{ dict(\(argument)) }}{{ namespace(\(argument)) }}",
                    values)
                tryOut("{% for x, y in \(value) %}{{ loop.cycle(\(argument)) }}{% endfor %}", values)
            }
        }
    }

    private static let filters = [
        "abs", "attr", "batch", "center", "default", "dictsort", "e", "first", "float", "format", "groupby",
        "indent",
        "int", "items", "join", "last", "length", "list", "map", "max", "min", "reject", "rejectattr",
        "replace",
        "reverse", "round", "select", "selectattr", "slice", "sort", "string", "sum", "title", "tojson",
        "trim",
        "truncate", "unique", "wordcount",
    ]
    private static let tests = [
        "defined", "number", "iterable", "sequence", "callable", "lower", "even", "odd", "divisibleby",
        "sameas",
        "filter", "in", "eq", "lt", "ge",
    ]
    private static let methods = [
        "split", "rsplit", "strip", "startswith", "replace", "title", "splitlines", "find", "rfind", "index",
        "count",
        "join", "format", "zfill", "center", "partition", "removeprefix", "isupper", "items", "get", "copy",
        "cycle",
        "changed", "x",
    ]
}
