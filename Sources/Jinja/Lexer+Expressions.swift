extension Lexer {
    /// Cuts what stands in a tag, up to and with the tag's end.
    mutating func expression(_ tag: Tag) throws(JinjaError) {
        let start = line
        var open: [Token.Symbol] = []
        while let scalar = peek() {
            if open.isEmpty, takeEnd(of: tag) {
                add(tag == .block ? .blockEnd : .variableEnd)
                return
            }
            if PythonText.isSpace(scalar) {
                if scalar == "\n" { line += 1 }
                position += 1
            } else if Self.isDigit(scalar) {
                try number()
            } else if PythonText.isWord(scalar) {
                name()
            } else if scalar == "'" || scalar == "\"" {
                try text(quote: scalar)
            } else {
                try symbol(&open)
            }
        }
        throw .syntax(line: start, reason: "a tag without its end")
    }

    private static func isDigit(_ scalar: Unicode.Scalar) -> Bool {
        ("0"..."9").contains(scalar)
    }

    private mutating func name() {
        let start = position
        while let scalar = peek(), PythonText.isWord(scalar) { position += 1 }
        add(.name(string(start..<position)))
    }

    private mutating func symbol(_ open: inout [Token.Symbol]) throws(JinjaError) {
        let one = peek().map { String($0) } ?? ""
        let two = one + (peek(1).map { String($0) } ?? "")
        guard let symbol = Token.Symbol(rawValue: two) ?? Token.Symbol(rawValue: one) else {
            throw .syntax(line: line, reason: "an unexpected character in a tag")
        }
        switch symbol {
        case .leftParenthesis: open.append(.rightParenthesis)
        case .leftBracket: open.append(.rightBracket)
        case .leftBrace: open.append(.rightBrace)
        case .rightParenthesis, .rightBracket, .rightBrace:
            guard open.popLast() == symbol else {
                throw .syntax(line: line, reason: "unexpected '\(symbol.rawValue)'")
            }
        default: break
        }
        position += symbol.rawValue.utf8.count
        add(.symbol(symbol))
    }
}

extension Lexer {
    private mutating func number() throws(JinjaError) {
        if peek() == "0", let radix = radix(peek(1)) {
            position += 2
            let digits = digits { $0.properties.isASCIIHexDigit }
            guard let value = Int(digits, radix: radix) else {
                throw .syntax(line: line, reason: "a number out of range")
            }
            return add(.integer(value))
        }
        let followsDot = position > 0 && source[position - 1] == "."
        let start = position
        var text = digits(Self.isDigit)
        var isReal = false
        if !followsDot, peek() == ".", let next = peek(1), Self.isDigit(next) {
            position += 1
            text += "." + digits(Self.isDigit)
            isReal = true
        }
        if !followsDot, let exponent = exponent() {
            text += exponent
            isReal = true
        }
        if isReal {
            add(.real(Double(text) ?? 0))
        } else if text.utf8.first == UInt8(ascii: "0"), text.utf8.contains(where: { $0 != UInt8(ascii: "0") })
        {
            throw .syntax(line: line, reason: "a number that starts with 0")
        } else if let value = Int(text) {
            add(.integer(value))
        } else {
            position = start
            throw .syntax(line: line, reason: "a number out of range")
        }
    }

    private func radix(_ letter: Unicode.Scalar?) -> Int? {
        switch letter {
        case "x", "X": 16
        case "o", "O": 8
        case "b", "B": 2
        default: nil
        }
    }

    private mutating func exponent() -> String? {
        guard peek() == "e" || peek() == "E" else { return nil }
        var length = 1
        var text = "e"
        if let sign = peek(1), sign == "+" || sign == "-" {
            text.unicodeScalars.append(sign)
            length = 2
        }
        guard let digit = peek(length), Self.isDigit(digit) else { return nil }
        position += length
        return text + digits(Self.isDigit)
    }

    // Digits, between which single underscores may stand.
    private mutating func digits(_ isDigit: (Unicode.Scalar) -> Bool) -> String {
        var text = ""
        while let scalar = peek() {
            if isDigit(scalar) {
                text.unicodeScalars.append(scalar)
            } else if scalar != "_" || !(peek(1).map(isDigit) ?? false) {
                break
            }
            position += 1
        }
        return text
    }
}

extension Lexer {
    private mutating func text(quote: Unicode.Scalar) throws(JinjaError) {
        let start = line
        position += 1
        var view = String.UnicodeScalarView()
        while let scalar = peek() {
            position += 1
            if scalar == quote {
                result.append(Token(kind: .text(String(view)), line: start))
                return
            }
            if scalar == "\n" { line += 1 }
            if scalar == "\\" {
                try escape(into: &view)
            } else {
                view.append(scalar)
            }
        }
        throw .syntax(line: start, reason: "a string without its end")
    }

    // Python's escapes; what is none keeps its backslash.
    private mutating func escape(into view: inout String.UnicodeScalarView) throws(JinjaError) {
        guard let scalar = peek() else { return }
        position += 1
        switch scalar {
        case "n": view.append("\n")
        case "t": view.append("\t")
        case "r": view.append("\r")
        case "a": view.append("\u{7}")
        case "b": view.append("\u{8}")
        case "f": view.append("\u{c}")
        case "v": view.append("\u{b}")
        case "\\", "'", "\"": view.append(scalar)
        case "\n": line += 1
        case "x": view.append(try codePoint(digits: 2))
        case "u": view.append(try codePoint(digits: 4))
        case "U": view.append(try codePoint(digits: 8))
        case "0"..."7":
            position -= 1
            var value: UInt32 = 0
            var count = 0
            while count < 3, let digit = peek(), ("0"..."7").contains(digit) {
                value = value * 8 + (digit.value - 48)
                position += 1
                count += 1
            }
            view.append(Unicode.Scalar(value) ?? "\u{fffd}")
        default:
            view.append("\\")
            view.append(scalar)
        }
    }

    private mutating func codePoint(digits count: Int) throws(JinjaError) -> Unicode.Scalar {
        var value: UInt32 = 0
        for _ in 0..<count {
            guard let digit = peek(), let nibble = UInt32(String(digit), radix: 16), value < 1 << 28 else {
                throw .syntax(line: line, reason: "a broken escape in a string")
            }
            value = value << 4 | nibble
            position += 1
        }
        guard let scalar = Unicode.Scalar(value) else {
            throw .syntax(line: line, reason: "a broken escape in a string")
        }
        return scalar
    }
}
