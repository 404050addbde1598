/// Why a template could not be read or rendered.
///
/// The messages name lines, variables, filters and types, never the values a template was given; only
/// `raised` carries text the template itself made.
package enum JinjaError: Error, Sendable, Equatable {
    /// The source is not a template.
    case syntax(line: Int, reason: String)
    /// An operation the values do not allow.
    case failed(line: Int, reason: String)
    /// The template called `raise_exception` with this message.
    case raised(String)
    /// The template asked for more than a render may use.
    case exceeded(line: Int, Limit)

    /// What a template can ask too much of.
    package enum Limit: String, Sendable {
        case steps = "too many steps"
        case output = "too much text"
        case depth = "nested too deeply"
    }

    /// One line for people.
    package var message: String {
        switch self {
        case .syntax(let line, let reason): "template line \(line): \(reason)"
        case .failed(let line, let reason): "template line \(line): \(reason)"
        case .raised(let message): message
        case .exceeded(let line, let limit): "template line \(line): \(limit.rawValue)"
        }
    }
}
