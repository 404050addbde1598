/// Admission, and what requests hold: pages of keys and values, references to pictures.
extension Scheduler {
    /// Moves waiting requests that fit to the running ones.
    mutating func admitWaiting() {
        var index = 0
        while index < waiting.count, running.count < limits.runningRequests {
            if admit(at: index) {
                for older in waiting.indices.prefix(index) { waiting[older].bypassCount += 1 }
            } else if waiting[index].bypassCount >= limits.mostBypasses {
                return
            } else {
                index += 1
            }
        }
    }

    /// Admits one request with everything it needs to be computed up to its last token, or takes nothing.
    private mutating func admit(at index: Int) -> Bool {
        let request = waiting[index]
        let needed = limits.pageCount(forTokens: request.tokens.count + 1)
        // Every running request may soon want a page; with none running the whole pool is there.
        guard needed + running.count <= pool.freeCount || running.isEmpty, needed <= pool.freeCount else {
            return false
        }
        let hits = request.prompt.images.count { cache[$0.key] != nil }
        guard cache.reserve(request.prompt.images) else { return false }
        guard let pages = pool.take(needed) else { return false }
        var admitted = waiting.remove(at: index)
        admitted.pages = pages
        admitted.heldImages = Set(admitted.prompt.images.map(\.key))
        if admitted.cachedImageCount == nil {
            admitted.cachedImageCount = hits
            counters.imageHits += hits
            counters.imageMisses += admitted.prompt.images.count - hits
        }
        let place = running.firstIndex { $0.id > admitted.id } ?? running.endIndex
        running.insert(admitted, at: place)
        return true
    }

    /// Puts a request into the queue by its age.
    mutating func insertWaiting(_ request: Request) {
        let place = waiting.firstIndex { $0.id > request.id } ?? waiting.endIndex
        waiting.insert(request, at: place)
    }

    /// Takes a request out of wherever it is, with what it holds.
    mutating func remove(_ id: RequestID) -> Request? {
        if let index = waiting.firstIndex(where: { $0.id == id }) { return waiting.remove(at: index) }
        if let index = running.firstIndex(where: { $0.id == id }) { return running.remove(at: index) }
        return nil
    }

    /// Gives back all that `request` holds.
    mutating func release(_ request: Request) {
        pool.release(request.pages)
        for key in request.heldImages where cache.release(key) { discarded.append(key) }
    }

    /// Gives back the pictures whose image tokens are all computed: nothing needs their embeddings any more.
    mutating func releaseConsumedImages(at index: Int) {
        let request = running[index]
        guard !request.heldImages.isEmpty else { return }
        let needed = Set(request.prompt.images.filter { $0.range.upperBound > request.storedCount }.map(\.key))
        for key in request.heldImages.subtracting(needed) where cache.release(key) { discarded.append(key) }
        running[index].heldImages.formIntersection(needed)
    }

    /// The broken rules, for checking; empty when all is well.
    package func violations() -> [String] {
        var references: [ImageKey: Int] = [:]
        for key in running.flatMap(\.heldImages) { references[key, default: 0] += 1 }
        var found = cache.violations(references: references)
        let pages = running.flatMap(\.pages) + pool.freePages
        if Set(pages).count != pages.count || pages.count != limits.pageCount { found.append("pages are lost") }
        if waiting.contains(where: { !$0.pages.isEmpty || !$0.heldImages.isEmpty }) {
            found.append("a waiting request holds something")
        }
        for request in running where request.pages.count * limits.pageSize < request.storedCount {
            found.append("a request has fewer pages than tokens")
        }
        if running.count > limits.runningRequests { found.append("more requests run than may") }
        return found
    }
}
