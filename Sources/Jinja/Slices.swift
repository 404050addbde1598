/// Python's indices: negative ones count from the end, and slices take what there is.
enum Slices {
    /// The item at an index, if it is within.
    static func item(of items: [Value], at index: Int) -> Value? {
        let place = index < 0 ? index + items.count : index
        return items.indices.contains(place) ? items[place] : nil
    }

    /// The scalar at an index, if it is within.
    static func scalar(of string: String, at index: Int) -> String? {
        let scalars = string.unicodeScalars
        if index >= 0 {
            return scalars.dropFirst(index).first.map { String($0) }
        }
        guard index > -scalars.count - 1 else { return nil }
        return scalars.dropLast(-index - 1).last.map { String($0) }
    }

    /// The items of a slice.
    static func slice(_ items: [Value], from: Int?, to: Int?, by step: Int) -> [Value] {
        indices(count: items.count, from: from, to: to, by: step).map { items[$0] }
    }

    /// The scalars of a slice.
    static func slice(_ string: String, from: Int?, to: Int?, by step: Int) -> String {
        let scalars = Array(string.unicodeScalars)
        var view = String.UnicodeScalarView()
        for index in indices(count: scalars.count, from: from, to: to, by: step) {
            view.append(scalars[index])
        }
        return String(view)
    }

    // Every index is within; the stride ends before it could overflow.
    private static func indices(count: Int, from: Int?, to: Int?, by step: Int) -> StrideTo<Int> {
        let lowest = step > 0 ? 0 : -1
        let highest = step > 0 ? count : count - 1
        func place(_ index: Int) -> Int {
            min(max(index < 0 ? index + count : index, lowest), highest)
        }
        let start = from.map(place) ?? (step > 0 ? lowest : highest)
        let end = to.map(place) ?? (step > 0 ? highest : lowest)
        return stride(from: start, to: end, by: min(max(step, -count - 1), count + 1))
    }
}
