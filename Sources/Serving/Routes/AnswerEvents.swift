import Engine
import Hummingbird

/// How an API streams an answer.
protocol AnswerEvents: Sendable {
    /// Whose manners.
    static var dialect: Dialect { get }
    /// The data of the events before the first piece.
    func opening() -> [[UInt8]]
    /// The data of the events of a piece.
    mutating func events(_ piece: GenerationPiece) -> [[UInt8]]
    /// The data of the events after the last piece.
    func closing() -> [[UInt8]]
}

extension Exchange {
    /// A reply that streams `generation` as `events`, and ends with one event for an error when there is one.
    ///
    /// `slot` is held until the end.
    func stream(_ generation: Generation, as events: some AnswerEvents, holding slot: RequestSlot) -> Reply {
        Reply(stream: { writer in
            defer { withExtendedLifetime(slot) {} }
            try await write(generation, as: events, to: &writer)
        })
    }

    @concurrent private func write<Events: AnswerEvents>(
        _ generation: Generation, as events: Events, to writer: inout any ResponseBodyWriter,
    ) async throws {
        let (pieces, feed) = AsyncThrowingStream.makeStream(of: GenerationPiece.self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            // In a task of its own, so that a client that leaves cancels the generation and not only the
            // writing.
            group.addTask {
                do {
                    try await connection.serve(sendsContinue: false) {
                        try await generation.run { piece in
                            if piece.token != nil { record.countToken() }
                            feed.yield(piece)
                        }
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
            let isComplete = try await write(pieces, as: &events, to: &writer)
            record.finish(status: isComplete ? 200 : ServingError.failed.status)
            try await writer.finish(nil)
        }
    }

    /// Whether the answer came to its end.
    @concurrent private func write<Events: AnswerEvents>(
        _ pieces: AsyncThrowingStream<GenerationPiece, any Error>, as events: inout Events,
        to writer: inout any ResponseBodyWriter,
    ) async throws -> Bool {
        var iterator = pieces.makeAsyncIterator()
        while true {
            let piece: GenerationPiece?
            do {
                piece = try await iterator.next()
            } catch let error as ServingError {
                throw error
            } catch {
                piece = nil
            }
            guard let piece else {
                // Cancelled by a shutdown, or failed.
                let json = ErrorBody.json(.failed, dialect: Events.dialect)
                try await writer.write(EventStream.event(json, dialect: Events.dialect))
                return false
            }
            for json in events.events(piece) {
                try await writer.write(EventStream.event(json, dialect: Events.dialect))
            }
            guard piece.finish != nil else { continue }
            for json in events.closing() {
                try await writer.write(EventStream.event(json, dialect: Events.dialect))
            }
            if case .openAI = Events.dialect { try await writer.write(EventStream.done) }
            return true
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
