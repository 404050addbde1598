/// A piece of a template and the line it starts on.
struct Token: Sendable {
    /// What the piece is.
    let kind: Kind
    /// Counted from 1.
    let line: Int

    /// What a piece can be.
    enum Kind: Equatable {
        /// Text outside tags, already stripped as its neighbours ask.
        case data(String)
        case variableBegin
        case variableEnd
        case blockBegin
        case blockEnd
        case name(String)
        case text(String)
        case integer(Int)
        case real(Double)
        case symbol(Symbol)
        /// After the last piece.
        case end
    }

    /// Operators and punctuation.
    enum Symbol: String, CaseIterable {
        case floorDivide = "//"
        case power = "**"
        case equal = "=="
        case unequal = "!="
        case greaterOrEqual = ">="
        case lessOrEqual = "<="
        case add = "+"
        case subtract = "-"
        case divide = "/"
        case multiply = "*"
        case remainder = "%"
        case tilde = "~"
        case leftBracket = "["
        case rightBracket = "]"
        case leftParenthesis = "("
        case rightParenthesis = ")"
        case leftBrace = "{"
        case rightBrace = "}"
        case greater = ">"
        case less = "<"
        case assign = "="
        case dot = "."
        case colon = ":"
        case pipe = "|"
        case comma = ","
        case semicolon = ";"
    }
}

extension Token.Kind {
    /// How a message names the piece.
    var description: String {
        switch self {
        case .data: "text"
        case .variableBegin: "'{{'"
        case .variableEnd: "'}}'"
        case .blockBegin: "'{%'"
        case .blockEnd: "'%}'"
        case .name(let name): "'\(name)'"
        case .text: "a string"
        case .integer, .real: "a number"
        case .symbol(let symbol): "'\(symbol.rawValue)'"
        case .end: "the end of the template"
        }
    }
}
