/// The way of pictures: tiles made beside the steps, then through the vision tower, a few tiles a step.
extension Scheduler {
    /// Announces requests whose pictures are read, asks for tiles, and picks the next tiles for the tower.
    mutating func planImages(_ plan: inout StepPlan) {
        var budget = limits.tilesPerStep
        for index in running.indices {
            for (place, span) in running[index].prompt.images.enumerated() {
                guard running[index].heldImages.contains(span.key), let entry = cache[span.key] else {
                    continue
                }
                switch entry.state {
                case .missing where preparingCount < limits.preparations:
                    cache.beginPreparing(span.key)
                    plan.preparations.append(
                        ImagePreparation(key: span.key, request: running[index].id, index: place))
                    preparingCount += 1
                case .prepared(let encoded) where budget > 0:
                    let most = limits.encodesWholePictures ? Int.max : encoded + budget
                    let tiles = encoded..<min(most, entry.pages.count)
                    if tiles.count > budget, !plan.visions.isEmpty { continue }
                    plan.visions.append(
                        VisionStep(key: span.key, tiles: tiles, pages: Array(entry.pages[tiles])))
                    budget -= tiles.count
                    counters.tilesEncoded += tiles.count
                    if cache.advance(span.key, tiles: tiles.count) { counters.imagesEncoded += 1 }
                default:
                    break
                }
            }
            announce(at: index, &plan)
        }
    }

    /// The tiles of `key` are there, or cannot be made; answers the requests that end because of that, each with the
    /// index of the picture.
    package mutating func finishPreparing(_ key: ImageKey, succeeded: Bool) -> [ImagePreparation] {
        preparingCount -= 1
        mayAdmit = true
        if succeeded {
            if !cache.finishPreparing(key) { discarded.append(key) }
            return []
        }
        return fail(key)
    }

    /// The embeddings of `key` were found elsewhere and are in its pages: neither tiles nor tower are needed.
    package mutating func finishLoading(_ key: ImageKey) {
        preparingCount -= 1
        mayAdmit = true
        counters.imagesLoaded += 1
        cache.finishLoading(key)
    }

    /// Forgets a picture and ends every request that needs it.
    package mutating func fail(_ key: ImageKey) -> [ImagePreparation] {
        var ended: [ImagePreparation] = []
        for request in running where request.heldImages.contains(key) {
            let index = request.prompt.images.firstIndex { $0.key == key } ?? 0
            ended.append(ImagePreparation(key: key, request: request.id, index: index))
        }
        for failure in ended {
            if let request = remove(failure.request) { end(request) }
            counters.failed += 1
        }
        cache.remove(key)
        return ended
    }

    /// Announces the start of a request once all of its pictures are read.
    private mutating func announce(at index: Int, _ plan: inout StepPlan) {
        guard !running[index].isStarted else { return }
        let unread = running[index].heldImages.contains { key in
            switch cache[key]?.state {
            case .missing, .preparing: true
            case .prepared, .ready, nil: false
            }
        }
        guard !unread else { return }
        running[index].isStarted = true
        plan.started.append(
            StartedRequest(
                id: running[index].id,
                found: running[index].found ?? CacheFindings(tokenCount: 0, imageCount: 0)))
    }
}
