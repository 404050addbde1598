import Synchronization

/// What a kernel had to do at least: its floor is the longer of the times for both.
struct KernelWork {
    /// Bytes of device memory that must be read or written.
    var bytes = 0
    /// Floating-point operations of matrix products.
    var operations = 0
}

/// How long kernels of one name took while a profile was taken.
package struct KernelTime: Sendable {
    /// The kernel, or the product with its sizes.
    package let name: String
    /// How often it ran.
    package var calls = 0
    /// In all.
    package var milliseconds = 0.0
    /// Bytes it had to move, in all; zero where nobody counted.
    package var bytes = 0
    /// Operations it had to do, in all.
    package var operations = 0
}

/// What a profile times.
package enum ProfileDetail: Sendable {
    /// Steps that are repeated from records, each as a whole.
    case steps
    /// Every kernel. They do not overlap then, and steps are not repeated from records, so that sums exceed the time of a
    /// step that is not watched.
    case kernels
}

/// Times between two calls, each measured by events round what is timed.
final class KernelProfile: Sendable {
    private struct Entry {
        let name: String
        let work: KernelWork
        let start: CUDAEvent
        let end: CUDAEvent
    }

    private let state = Mutex<(detail: ProfileDetail, entries: [Entry])?>(nil)

    /// What is being timed; nil for nothing.
    var detail: ProfileDetail? { state.withLock { $0?.detail } }

    /// Begins.
    func begin(_ detail: ProfileDetail) { state.withLock { $0 = (detail, []) } }

    /// Runs `body`, which enqueues `name`, between two marks if that is being timed.
    func measure(
        _ name: @autoclosure () -> String, _ work: KernelWork, _ detail: ProfileDetail = .kernels,
        on stream: CUDAStream, _ body: () -> Void,
    ) {
        guard self.detail == detail, let start = try? CUDAEvent(stream: stream, isTimed: true),
            let end = try? CUDAEvent(stream: stream, isTimed: true)
        else { return body() }
        start.record()
        body()
        end.record()
        let entry = Entry(name: name(), work: work, start: start, end: end)
        state.withLock { $0?.entries.append(entry) }
    }

    /// Ends, with the longest first; all enqueued work must be done.
    func end() -> [KernelTime] {
        let taken = state.withLock { state in
            defer { state = nil }
            return state?.entries ?? []
        }
        var times: [String: KernelTime] = [:]
        for entry in taken {
            var time = times[entry.name] ?? KernelTime(name: entry.name)
            time.calls += 1
            time.milliseconds += entry.end.milliseconds(since: entry.start)
            time.bytes += entry.work.bytes
            time.operations += entry.work.operations
            times[entry.name] = time
        }
        return times.values.sorted { $0.milliseconds > $1.milliseconds }
    }
}
