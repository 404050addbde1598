import Scheduling
import Synchronization
import Tensors

/// The embeddings that replicas share, behind the engine's own cache: asked before a picture is decoded, given what the
/// tower made.
///
/// Thread-safe. What is given waits for a thread of its own, up to a bound; what is beyond is dropped.
final class SharedImages: Sendable {
    private let store: any EmbeddingStore
    /// Values of a row, all planes together.
    private let columnCount: Int
    private let planeCount: Int
    private let mostWaitingBytes: Int
    private let queue = Mailbox<Gift?>()
    private let state = Mutex(State())

    private struct State {
        var statistics = SharedImageStatistics()
        /// Bytes of what waits to be left in the store.
        var waitingBytes = 0
    }

    /// Embeddings for others.
    private struct Gift: Sendable {
        let key: ImageKey
        let rowCount: Int
        let rows: [UInt8]
    }

    /// Embeddings in rows of `columnCount` values, of `planeCount` planes.
    init(store: any EmbeddingStore, columnCount: Int, planeCount: Int, mostWaitingBytes: Int = 256 << 20) {
        self.store = store
        self.columnCount = columnCount
        self.planeCount = planeCount
        self.mostWaitingBytes = mostWaitingBytes
    }

    /// Starts the thread that leaves embeddings in the store; false when the system gives none.
    func start() -> Bool {
        DedicatedThread.start {
            while let gift = self.queue.takeOne() { self.leave(gift) }
            self.store.close()
        }
    }

    /// Ends that thread after what waits.
    func stop() { queue.post(nil) }

    /// How it went so far.
    var statistics: SharedImageStatistics {
        var statistics = state.withLock(\.statistics)
        statistics.health = store.health
        return statistics
    }

    /// The rows of a picture, f32 [rowCount, columnCount] as bytes; nil when they are not there, not sound or not in time.
    func find(_ key: ImageKey, rowCount: Int) -> ArraySlice<UInt8>? {
        let entry = entry(key, rowCount)
        let value = store.value(of: key.bytes, byteCount: entry.byteCount)
        let rows = value.flatMap { entry.rows(of: $0) }
        state.withLock {
            if rows == nil { $0.statistics.misses += 1 } else { $0.statistics.hits += 1 }
            if value != nil, rows == nil { $0.statistics.unsound += 1 }
        }
        return rows
    }

    /// Whether a picture of `rowCount` rows may be given now, to be asked before `give`; one that may not is counted.
    func mayGive(rowCount: Int) -> Bool {
        let byteCount = rowCount * columnCount * ElementType.f32.byteCount
        return state.withLock {
            guard $0.waitingBytes == 0 || $0.waitingBytes + byteCount <= mostWaitingBytes else {
                $0.statistics.droppedPuts += 1
                return false
            }
            return true
        }
    }

    /// Takes the rows of a picture, to leave them in the store by and by.
    func give(_ key: ImageKey, rowCount: Int, _ rows: [UInt8]) {
        state.withLock { $0.waitingBytes += rows.count }
        queue.post(Gift(key: key, rowCount: rowCount, rows: rows))
    }

    private func leave(_ gift: Gift) {
        let value = entry(gift.key, gift.rowCount).value(of: gift.rows)
        let isKept = store.keep(value, under: gift.key.bytes)
        state.withLock {
            $0.waitingBytes -= gift.rows.count
            if isKept { $0.statistics.puts += 1 } else { $0.statistics.droppedPuts += 1 }
        }
    }

    private func entry(_ key: ImageKey, _ rowCount: Int) -> SharedEntry {
        SharedEntry(key: key, rowCount: rowCount, columnCount: columnCount, planeCount: planeCount)
    }
}
