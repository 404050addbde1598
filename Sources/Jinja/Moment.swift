/// A date and time of day, as `strftime_now` shows it.
package struct Moment: Sendable {
    private let year: Int
    private let month: Int
    private let day: Int
    private let second: Int
    private let daysSinceEpoch: Int

    /// The UTC moment so many seconds after the start of 1970; add the zone's offset for local time.
    package init(secondsSinceEpoch seconds: Int) {
        // Years 1 to 9999, as Python has them.
        let clamped = min(max(seconds, -62_135_596_800), 253_402_300_799)
        daysSinceEpoch = Operators.floorDivide(clamped, 86_400)
        second = clamped - daysSinceEpoch * 86_400
        // Days are counted from 1 March of year 0, so that leap days end years; 146 097 days make 400 years.
        let shifted = daysSinceEpoch + 719_468
        let era = Operators.floorDivide(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// The text for a format such as `%d %b %Y`; unknown directives stay as they are.
    func formatted(_ format: String) -> String {
        var result = ""
        var scalars = format.unicodeScalars.makeIterator()
        while let scalar = scalars.next() {
            guard scalar == "%" else {
                result.unicodeScalars.append(scalar)
                continue
            }
            guard var directive = scalars.next() else { return result + "%" }
            var isPadded = true
            if directive == "-", let next = scalars.next() {
                isPadded = false
                directive = next
            }
            result += field(directive, isPadded: isPadded) ?? "%\(isPadded ? "" : "-")\(directive)"
        }
        return result
    }

    private func field(_ directive: Unicode.Scalar, isPadded: Bool) -> String? {
        func padded(_ number: Int, _ width: Int = 2, with fill: String = "0") -> String {
            let digits = String(number)
            return isPadded
                ? String(repeating: fill, count: max(0, width - digits.utf8.count)) + digits : digits
        }
        let hour = second / 3_600
        return switch directive {
        case "Y": padded(year, 1)
        case "y": padded(year % 100)
        case "m": padded(month)
        case "d": padded(day)
        case "e": padded(day, with: " ")
        case "H": padded(hour)
        case "I": padded((hour + 11) % 12 + 1)
        case "M": padded(second / 60 % 60)
        case "S": padded(second % 60)
        case "p": hour < 12 ? "AM" : "PM"
        case "j": padded(dayOfYear, 3)
        case "B": Self.months[month - 1]
        case "b", "h": String(Self.months[month - 1].unicodeScalars.prefix(3))
        case "A": Self.weekdays[weekday]
        case "a": String(Self.weekdays[weekday].unicodeScalars.prefix(3))
        case "u": String(weekday == 0 ? 7 : weekday)
        case "w": String(weekday)
        case "F": "\(padded(year, 1))-\(padded(month))-\(padded(day))"
        case "D": "\(padded(month))/\(padded(day))/\(padded(year % 100))"
        case "T": "\(padded(hour)):\(padded(second / 60 % 60)):\(padded(second % 60))"
        case "R": "\(padded(hour)):\(padded(second / 60 % 60))"
        case "Z", "z": ""
        case "n": "\n"
        case "t": "\t"
        case "%": "%"
        default: nil
        }
    }

    // 1 January 1970 was a Thursday; 0 is Sunday.
    private var weekday: Int { Operators.floorRemainder(daysSinceEpoch + 4, 7) }

    private var dayOfYear: Int {
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][month - 1]
        return before + day + (isLeap && month > 2 ? 1 : 0)
    }

    private static let months = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
        "November", "December",
    ]
    private static let weekdays = [
        "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
    ]
}
