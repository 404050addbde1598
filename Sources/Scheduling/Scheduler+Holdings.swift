/// Admission, and what requests hold: pages of keys and values, references to pictures.
extension Scheduler {
    /// Moves waiting requests that fit to the running ones.
    mutating func admitWaiting() {
        guard mayAdmit else { return }
        mayAdmit = false
        var index = 0
        while index < waiting.count, running.count < limits.runningRequests {
            if waiting[index].leader != nil {
                index += 1
            } else if admit(at: index) {
                for older in waiting.indices.prefix(index) where waiting[older].leader == nil {
                    waiting[older].bypassCount += 1
                }
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
        let keys = sharedKeys(request)
        let match = pages.matchLength(keys)
        let needed = limits.pageCount(forTokens: request.tokens.count + 1) - match.pages
        // Kept pages that this request would hold are not available to it. Every running request may soon want a page;
        // with none running the whole pool is there.
        let available = pages.availableCount - match.idlePages
        guard needed + (running.isEmpty ? 0 : running.count) <= available else { return false }
        let storedCount = match.pages * limits.pageSize
        let images = request.prompt.images.filter { $0.range.upperBound > storedCount }
        let hits = images.count { cache[$0.key] != nil } + request.prompt.images.count - images.count
        guard cache.reserve(images) else { return false }
        let path = pages.hold(keys)
        // Never nil: as many are available.
        guard let own = pages.take(needed) else { return false }
        var admitted = waiting.remove(at: index)
        admitted.sharedPath = path
        admitted.pages = pages.pages(of: path) + own
        admitted.storedCount = storedCount
        admitted.vouchedCount = storedCount
        admitted.heldImages = Set(images.map(\.key))
        note(&admitted, storedCount: storedCount, imageHits: hits)
        let place = running.firstIndex { $0.id > admitted.id } ?? running.endIndex
        running.insert(admitted, at: place)
        return true
    }

    /// Counts what a request found when it is admitted for the first time.
    private mutating func note(_ request: inout Request, storedCount: Int, imageHits: Int) {
        guard request.found == nil else { return }
        request.found = CacheFindings(tokenCount: storedCount, imageCount: imageHits)
        guard !request.isSibling else { return }
        counters.cachedPromptTokens += storedCount
        counters.imageHits += imageHits
        counters.imageMisses += request.prompt.images.count - imageHits
    }

    /// The keys of the tokens that a request may find stored: all but the last, whose logits it wants; none when it
    /// asked to be computed afresh, or for all logits of its prompt.
    private func sharedKeys(_ request: Request) -> ArraySlice<TokenKey> {
        limits.keepsPrefixes && request.prompt.usesPrefixCache && !request.isUnscored
            ? request.keys.dropLast() : []
    }

    /// Puts the full pages of a running request that are sound into the tree, so that others may begin with them.
    mutating func share(at index: Int) {
        let request = running[index]
        guard limits.keepsPrefixes, request.prompt.usesPrefixCache else { return }
        let start = request.sharedPath.count * limits.pageSize
        let fullCount = (request.vouchedCount - start) / limits.pageSize
        guard fullCount > 0 else { return }
        mayAdmit = true
        running[index].sharedPath = pages.insert(
            request.keys[start..<(start + fullCount * limits.pageSize)],
            pages: Array(request.ownPages.prefix(fullCount)), below: request.sharedPath)
        running[index].pages =
            pages.pages(of: running[index].sharedPath) + request.ownPages.dropFirst(fullCount)
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
        mayAdmit = true
        pages.letGo(request.sharedPath)
        pages.release(Array(request.ownPages))
        for key in request.heldImages where cache.release(key) { discarded.append(key) }
    }

    /// Gives back the pictures whose image tokens are all among the first `storedCount`, which are computed: nothing
    /// needs their embeddings any more.
    mutating func releaseConsumedImages(at index: Int, storedCount: Int) {
        let request = running[index]
        guard !request.heldImages.isEmpty else { return }
        mayAdmit = true
        let needed = Set(request.prompt.images.filter { $0.range.upperBound > storedCount }.map(\.key))
        for key in request.heldImages.subtracting(needed) where cache.release(key) { discarded.append(key) }
        running[index].heldImages.formIntersection(needed)
    }

    /// The broken rules, for checking; empty when all is well.
    package func violations() -> [String] {
        var references: [ImageKey: Int] = [:]
        for key in running.flatMap(\.heldImages) { references[key, default: 0] += 1 }
        var found = cache.violations(references: references)
        var held: [PrefixCache.NodeIndex: Int] = [:]
        for node in running.flatMap(\.sharedPath) { held[node, default: 0] += 1 }
        found += pages.violations(owned: running.flatMap(\.ownPages), held: held)
        if waiting.contains(where: { $0.leader.map { !isComputingPrompt($0) } ?? false }) {
            found.append("a request waits for one that does not compute its prompt")
        }
        if waiting.contains(where: { $0.pageCount > 0 || !$0.heldImages.isEmpty }) {
            found.append("a waiting request holds something")
        }
        for request in running where request.pageCount * limits.pageSize < request.storedCount {
            found.append("a request has fewer pages than tokens")
        }
        for request in running {
            if request.pendingCount > stepsInFlight.count(where: { $0.contains(request.id) }) {
                found.append("a request has more tokens to come than steps that choose them")
            }
            if request.vouchedCount > request.storedCount {
                found.append("more tokens are sound than stored")
            }
        }
        if running.count > limits.runningRequests { found.append("more requests run than may") }
        return found
    }
}
