import Engine
import Hummingbird

/// How an API streams an answer.
protocol AnswerEvents: Sendable {
    /// Whose manners.
    static var dialect: Dialect { get }
    /// The data of the events before the first piece.
    func opening() -> [[UInt8]]
    /// The data of the events of a piece of answer `index`.
    mutating func events(_ piece: GenerationPiece, of index: Int) -> [[UInt8]]
    /// The data of the events after the last piece of the last answer.
    func closing() -> [[UInt8]]
}

/// A piece of one of several answers.
private struct IndexedPiece: Sendable {
    let piece: GenerationPiece
    let index: Int
}

extension Exchange {
    /// A reply that streams `generations` as `events`, and ends with one event for an error when there is one.
    ///
    /// `slot` is held until the end.
    func stream(
        _ generations: [Generation], as events: some AnswerEvents, holding slot: RequestSlot,
    ) -> Reply {
        Reply(stream: { writer in
            defer { withExtendedLifetime(slot) {} }
            try await write(generations, as: events, to: &writer)
        })
    }

    @concurrent private func write<Events: AnswerEvents>(
        _ generations: [Generation], as events: Events, to writer: inout any ResponseBodyWriter,
    ) async throws {
        let (pieces, feed) = AsyncThrowingStream.makeStream(of: IndexedPiece.self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            // In a task of its own, so that a client that leaves cancels the generation and not only the
            // writing.
            group.addTask {
                do {
                    try await connection.serve(sendsContinue: false) {
                        try await run(generations) { feed.yield($0) }
                    }
                    feed.finish()
                } catch {
                    feed.finish(throwing: error)
                }
            }
            var events = events
            for json in events.opening() {
                try await writer.write(EventStream.event(json, dialect: Events.dialect))
            }
            let isComplete = try await write(pieces, of: generations.count, as: &events, to: &writer)
            record.finish(status: isComplete ? 200 : ServingError.failed.status)
            try await writer.finish(nil)
        }
    }

    /// Runs generations at once, each in a task of its own.
    private func run(
        _ generations: [Generation], _ body: @escaping @Sendable (IndexedPiece) -> Void,
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { answers in
            for (index, generation) in generations.enumerated() {
                answers.addTask {
                    try await generation.run { piece in
                        if piece.token != nil { record.countToken() }
                        body(IndexedPiece(piece: piece, index: index))
                    }
                }
            }
            try await answers.waitForAll()
        }
    }

    /// Whether all `count` answers came to their end.
    @concurrent private func write<Events: AnswerEvents>(
        _ pieces: AsyncThrowingStream<IndexedPiece, any Error>, of count: Int, as events: inout Events,
        to writer: inout any ResponseBodyWriter,
    ) async throws -> Bool {
        var iterator = pieces.makeAsyncIterator()
        var openCount = count
        while true {
            let next: IndexedPiece?
            do {
                next = try await iterator.next()
            } catch let error as ServingError {
                throw error
            } catch {
                next = nil
            }
            guard let next else {
                // Cancelled by a shutdown, or failed.
                let json = ErrorBody.json(.failed, dialect: Events.dialect)
                try await writer.write(EventStream.event(json, dialect: Events.dialect))
                return false
            }
            for json in events.events(next.piece, of: next.index) {
                try await writer.write(EventStream.event(json, dialect: Events.dialect))
            }
            if next.piece.finish != nil { openCount -= 1 }
            guard openCount == 0 else { continue }
            for json in events.closing() {
                try await writer.write(EventStream.event(json, dialect: Events.dialect))
            }
            if case .openAI = Events.dialect { try await writer.write(EventStream.done) }
            return true
        }
    }

    /// Runs generations at once to their ends, for answers in one piece; gives the pieces of each.
    func collect(_ generations: [Generation]) async throws -> [[GenerationPiece]] {
        try await withThrowingTaskGroup(of: (Int, [GenerationPiece]).self) { answers in
            for (index, generation) in generations.enumerated() {
                answers.addTask {
                    var pieces: [GenerationPiece] = []
                    try await collect(generation) { pieces.append($0) }
                    return (index, pieces)
                }
            }
            var all = [[GenerationPiece]](repeating: [], count: generations.count)
            for try await (index, pieces) in answers { all[index] = pieces }
            return all
        }
    }

    /// Runs a generation to its end for an answer in one piece.
    func collect(_ generation: Generation, _ append: (GenerationPiece) -> Void) async throws {
        do {
            try await generation.run { piece in
                if piece.token != nil { record.countToken() }
                append(piece)
            }
        } catch is GenerationError {
            try Task.checkCancellation()
            throw ServingError.failed
        }
    }
}
