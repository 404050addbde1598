/// Decimal rounding as Python does it: of the exact value, halves to even.
enum Rounding {
    /// How `round` decides.
    enum Rule {
        case halfToEven
        case up
        case down
    }

    /// The number rounded to so many digits after the point (before it, if negative).
    static func rounded(_ number: Double, digits: Int, rule: Rule = .halfToEven) -> Double {
        guard number.isFinite, digits <= 22 else { return number }
        guard digits >= -22 else { return 0 }
        let scale = Operators.power(10.0, abs(digits))
        if rule != .halfToEven {
            // jinja2 scales, rounds and scales back.
            let power = digits < 0 ? 1 / scale : scale
            return (number * power).rounded(rule == .up ? .up : .down) / power
        }
        if digits < 0 { return (number / scale).rounded(.toNearestOrEven) * scale }
        return scaled(number, by: scale) / scale
    }

    /// The number with exactly so many digits after the point, if it is small enough to have them.
    static func fixed(_ number: Double, digits: Int) -> String? {
        guard number.isFinite else { return Representation.text(number) }
        guard digits <= 15, let whole = Int(exactly: scaled(number, by: Operators.power(10.0, digits))) else {
            return nil
        }
        let text = Representation.padded(String(whole.magnitude), to: digits + 1)
        let sign = number.sign == .minus ? "-" : ""
        guard digits > 0 else { return sign + text }
        return sign + String(decoding: text.utf8.dropLast(digits), as: UTF8.self) + "."
            + String(decoding: text.utf8.suffix(digits), as: UTF8.self)
    }

    // The whole number nearest to the exact product.
    private static func scaled(_ number: Double, by scale: Double) -> Double {
        let product = number * scale
        guard product.isFinite, product.magnitude < 0x1p52 else { return product.isFinite ? product : number }
        let below = product.rounded(.down)
        // What the multiplication rounded off decides where the product looks like a half.
        let missing = (-product).addingProduct(number, scale)
        let fraction = product - below
        if fraction == 0.5, missing != 0 { return missing > 0 ? below + 1 : below }
        return product.rounded(.toNearestOrEven)
    }
}

extension Representation {
    /// Digits with zeros before them up to a count.
    static func padded(_ digits: String, to count: Int) -> String {
        String(repeating: "0", count: max(0, count - digits.utf8.count)) + digits
    }
}
