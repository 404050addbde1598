import Testing

@testable import Jinja

/// The same bytes as jinja2, and a failure where jinja2 fails.
@Suite struct GoldenTests {
    @Test(arguments: TemplateFixtures.goldens.cases)
    func `every conversation comes out as from jinja2`(template: TemplateFixtures.Case) throws {
        let goldens = TemplateFixtures.goldens
        let source = TemplateFixtures.source(template.path)
        let compiled = try Template(source)
        #expect(template.outcomes.count == goldens.conversations.count)
        for (conversation, expected) in zip(goldens.conversations, template.outcomes) {
            let outcome: TemplateFixtures.Outcome
            do throws(JinjaError) {
                outcome = .text(try compiled.render(conversation.variables, now: goldens.now))
            } catch {
                if case .raised(let message) = error {
                    outcome = .raised(message)
                } else {
                    outcome = .failure
                }
            }
            #expect(outcome == expected && isSame(outcome, expected), "\(conversation.name)")
        }
    }

    @Test func `every small template comes out as from jinja2`() {
        let (variables, snippets) = TemplateFixtures.snippets
        #expect(snippets.count > 200)
        for (source, expected) in snippets {
            let outcome = TemplateFixtures.outcome(of: source, variables)
            #expect(outcome == expected && isSame(outcome, expected), "\(source)")
        }
    }

    // Swift's own equality of strings would take composed letters for decomposed ones.
    private func isSame(_ one: TemplateFixtures.Outcome, _ other: TemplateFixtures.Outcome) -> Bool {
        switch (one, other) {
        case (.text(let one), .text(let other)), (.raised(let one), .raised(let other)):
            one.utf8.elementsEqual(other.utf8)
        default: one == other
        }
    }
}
