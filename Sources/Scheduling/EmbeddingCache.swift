/// Which pictures have their embeddings stored, where, and who still needs them.
///
/// Bounded in entries and in pages (a page holds the rows of one tile, or some of a picture's). A request reserves all of its pictures or none;
/// a reserved picture is never evicted; of the others the one used longest ago goes first.
package struct EmbeddingCache: Sendable {
    /// How far a picture has come.
    package enum State: Hashable, Sendable {
        /// Its tiles are not there. Can move to: preparing, gone.
        case missing
        /// Its tiles are being made. Can move to: prepared, ready (its embeddings were found elsewhere), gone (they cannot
        /// be made).
        case preparing
        /// Its tiles are there, and `encoded` of them go through the tower in planned steps. Can move to: ready, gone.
        case prepared(encoded: Int)
        /// Its embeddings are stored, or will be by the steps that are planned. Can move to: gone (evicted).
        case ready
    }

    /// A picture.
    package struct Entry: Sendable {
        /// In the order of the rows; of tiles one page each.
        package let pages: [PageIndex]
        /// How many rows it has, the last page's perhaps not full.
        package let rowCount: Int
        /// How far it has come.
        package fileprivate(set) var state = State.missing
        /// How many requests need it.
        package fileprivate(set) var references = 0
        fileprivate var lastUse: UInt64 = 0
    }

    /// The most entries.
    package let capacity: Int
    /// Rows of embeddings in a page.
    package let rowsPerPage: Int
    /// How many entries were evicted so far.
    package private(set) var evictionCount = 0
    private var pool: PagePool
    private var entries: [ImageKey: Entry] = [:]
    private var clock: UInt64 = 0

    /// An empty cache of at most `capacity` pictures in `pageCount` pages.
    package init(capacity: Int, pageCount: Int, rowsPerPage: Int) {
        precondition(capacity >= 0 && rowsPerPage > 0, "a cache of pages")
        self.capacity = capacity
        self.rowsPerPage = rowsPerPage
        pool = PagePool(pageCount: pageCount)
    }

    /// How many pictures are stored or on their way.
    package var count: Int { entries.count }
    /// How many of them a request needs.
    package var referencedCount: Int { entries.values.count { $0.references > 0 } }
    /// How many pages are taken.
    package var usedPageCount: Int { pool.pageCount - pool.freeCount }
    /// The picture of `key`, if it is stored or on its way.
    package subscript(key: ImageKey) -> Entry? { entries[key] }

    /// Pages that `tokenCount` rows take.
    package func pageCount(forTokens tokenCount: Int) -> Int { (tokenCount + rowsPerPage - 1) / rowsPerPage }

    /// Whether these pictures fit when nothing else is stored; `spans` may name a picture more than once.
    package func canEverHold(_ spans: [ImageSpan]) -> Bool {
        let sizes = distinct(spans)
        return sizes.count <= capacity
            && sizes.values.reduce(0) { $0 + pageCount(forTokens: $1) } <= pool.pageCount
    }

    /// Takes one reference to each distinct picture of `spans`, making room for those that are new; all or nothing.
    package mutating func reserve(_ spans: [ImageSpan]) -> Bool {
        let sizes = distinct(spans)
        let new = sizes.filter { entries[$0.key] == nil }
        let pagesNeeded = new.values.reduce(0) { $0 + pageCount(forTokens: $1) }
        let evictable = entries.filter {
            $0.value.references == 0 && $0.value.isSettled && sizes[$0.key] == nil
        }
        guard entries.count + new.count - evictable.count <= capacity,
            pagesNeeded <= pool.freeCount + evictable.values.reduce(0, { $0 + $1.pages.count })
        else { return false }
        for (key, _) in evictable.sorted(by: { $0.value.lastUse < $1.value.lastUse }) {
            if entries.count + new.count <= capacity, pagesNeeded <= pool.freeCount { break }
            remove(key)
            evictionCount += 1
        }
        for (key, size) in new {
            // Never nil: the pages were counted above.
            guard let pages = pool.take(pageCount(forTokens: size)) else { return false }
            entries[key] = Entry(pages: pages, rowCount: size)
        }
        clock += 1
        for key in sizes.keys {
            entries[key]?.references += 1
            entries[key]?.lastUse = clock
        }
        return true
    }

    /// Gives back one reference to `key`; a picture nobody needs any more stays if it is ready, and else goes
    /// as soon as no work on it is under way.
    ///
    /// Answers whether tiles made for it are to be thrown away.
    package mutating func release(_ key: ImageKey) -> Bool {
        guard var entry = entries[key] else { return false }
        precondition(entry.references > 0, "a reference is given back once")
        entry.references -= 1
        clock += 1
        entry.lastUse = clock
        entries[key] = entry
        guard entry.references == 0 else { return false }
        switch entry.state {
        case .ready, .preparing:
            return false
        case .missing:
            remove(key)
            return false
        case .prepared:
            remove(key)
            return true
        }
    }

    /// The tiles of a missing picture are now being made.
    package mutating func beginPreparing(_ key: ImageKey) {
        entries[key]?.state = .preparing
    }

    /// The tiles of `key` are there; answers false when nobody needs them any more.
    package mutating func finishPreparing(_ key: ImageKey) -> Bool {
        guard let entry = entries[key], entry.state == .preparing else { return false }
        guard entry.references > 0 else {
            remove(key)
            return false
        }
        entries[key]?.state = .prepared(encoded: 0)
        return true
    }

    /// The embeddings of `key`, whose tiles were being made, are in its pages: it needs no tower.
    package mutating func finishLoading(_ key: ImageKey) {
        if entries[key]?.state == .preparing { entries[key]?.state = .ready }
    }

    /// `count` more tiles of `key` go through the tower in the step that is planned; answers whether these are the last.
    package mutating func advance(_ key: ImageKey, tiles count: Int) -> Bool {
        guard let entry = entries[key], case .prepared(let encoded) = entry.state else { return false }
        let done = encoded + count >= entry.pages.count
        entries[key]?.state = done ? .ready : .prepared(encoded: encoded + count)
        return done
    }

    /// Forgets `key` whatever its state: its tiles cannot be made, or its embeddings are not usable.
    package mutating func remove(_ key: ImageKey) {
        guard let entry = entries.removeValue(forKey: key) else { return }
        pool.release(entry.pages)
    }

    /// The pictures of `spans` with their rows.
    private func distinct(_ spans: [ImageSpan]) -> [ImageKey: Int] {
        var sizes: [ImageKey: Int] = [:]
        for span in spans { sizes[span.key] = span.tokenCount }
        return sizes
    }

    /// The broken rules, for checking: `references` is what the live requests hold.
    func violations(references: [ImageKey: Int]) -> [String] {
        var found: [String] = []
        for (key, entry) in entries where entry.references != references[key, default: 0] {
            found.append(
                "an entry has \(entry.references) references, its holders \(references[key, default: 0])")
        }
        for key in references.keys where entries[key] == nil { found.append("a held picture is not stored") }
        let pages = entries.values.flatMap(\.pages) + pool.freePages
        if Set(pages).count != pages.count || pages.count != pool.pageCount {
            found.append("embedding pages are lost")
        }
        if entries.count > capacity { found.append("more entries than the capacity") }
        return found
    }
}

extension EmbeddingCache.Entry {
    /// Whether no work on it is under way, so that it may go.
    fileprivate var isSettled: Bool { state == .ready || state == .missing }
}
