import Synchronization
package import Tensors

/// A place in the tree of tensor names: `weights["model"]["layers"][3].take("mlp.up_proj.weight", shape: …)`.
///
/// Copies share one record of what was taken, which any number of threads may add to.
package struct Weights: Sendable {
    private let source: any TensorSource
    private let ledger: Ledger
    /// The names on the way here, each with a dot behind.
    private let prefix: String

    /// The root of `source`; `progress` hears of every tensor taken.
    package init(_ source: any TensorSource, progress: @escaping @Sendable (LoadProgress) -> Void = { _ in })
    {
        self.source = source
        ledger = Ledger(totalByteCount: source.byteCount, progress: progress)
        prefix = ""
    }

    private init(source: any TensorSource, ledger: Ledger, prefix: String) {
        self.source = source
        self.ledger = ledger
        self.prefix = prefix
    }

    /// The part below `name`, which may itself hold dots; an empty one is this place.
    package subscript(name: String) -> Weights {
        Weights(source: source, ledger: ledger, prefix: name.isEmpty ? prefix : prefix + name + ".")
    }

    /// The part below a number.
    package subscript(index: Int) -> Weights { self[String(index)] }

    /// The part below the first of `names` known to have `tensor`, else below the first of all.
    package func first(of names: [String], with tensor: String) -> Weights {
        let known = names.first { self[$0].has(tensor) }
        return self[known ?? names.first ?? ""]
    }

    /// Whether the source is known to have `tensor` here.
    package func has(_ tensor: String) -> Bool { source.has(prefix + tensor) }

    /// The host tensor `tensor` of this place, which must have `shape`.
    package func take(_ tensor: String, shape: Shape) throws(CheckpointError) -> Tensor {
        let name = prefix + tensor
        let found = try source.tensor(name, shape: shape)
        ledger.record(name, byteCount: found.byteCount)
        return found
    }

    /// Checks that every tensor of the source was taken, but for those `allowing` says may be left.
    package func finish(allowing mayRemain: (String) -> Bool) throws(CheckpointError) {
        let taken = ledger.names
        let unread = source.tensorNames.filter { !taken.contains($0) && !mayRemain($0) }
        guard unread.isEmpty else { throw .unreadTensors(unread, folder: source.name) }
    }
}

/// How far loading is.
package struct LoadProgress: Sendable, Hashable {
    /// Bytes of the tensors taken so far.
    package let byteCount: Int
    /// Bytes of all tensors; zero when not known.
    package let totalByteCount: Int
}

/// What was taken from a source.
private final class Ledger: Sendable {
    private struct Entries {
        var names: Set<String> = []
        var byteCount = 0
    }

    private let entries = Mutex(Entries())
    private let totalByteCount: Int
    private let progress: @Sendable (LoadProgress) -> Void

    init(totalByteCount: Int, progress: @escaping @Sendable (LoadProgress) -> Void) {
        self.totalByteCount = totalByteCount
        self.progress = progress
    }

    var names: Set<String> { entries.withLock { $0.names } }

    func record(_ name: String, byteCount: Int) {
        let sum = entries.withLock { entries in
            if entries.names.insert(name).inserted { entries.byteCount += byteCount }
            return entries.byteCount
        }
        progress(LoadProgress(byteCount: sum, totalByteCount: totalByteCount))
    }
}
