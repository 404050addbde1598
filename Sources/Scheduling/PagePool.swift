/// The free pages of a store of equal pages.
///
/// Who takes pages owns them until it gives them back.
package struct PagePool: Sendable {
    /// How many pages there are, taken or free.
    package let pageCount: Int
    private var free: [PageIndex]

    /// A pool of `pageCount` free pages.
    package init(pageCount: Int) {
        precondition(pageCount >= 0 && pageCount <= Int(Int32.max), "pages are numbered by 32 bits")
        self.pageCount = pageCount
        free = (0..<PageIndex(pageCount)).reversed()
    }

    /// How many pages are free.
    package var freeCount: Int { free.count }

    /// Takes `count` pages, or none and answers nil when there are not as many.
    package mutating func take(_ count: Int) -> [PageIndex]? {
        guard count <= free.count else { return nil }
        let taken = Array(free.suffix(count).reversed())
        free.removeLast(count)
        return taken
    }

    /// Gives pages back.
    package mutating func release(_ pages: [PageIndex]) {
        free += pages
        precondition(free.count <= pageCount, "a page is given back once")
    }

    /// The free pages, for checking.
    var freePages: [PageIndex] { free }
}
