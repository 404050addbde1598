import Glibc
import Synchronization

/// A bar on standard error while weights load; nothing where that is not a terminal.
final class ProgressBar: Sendable {
    private let total: Int
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let shownPercent = Atomic<Int>(-1)

    /// A bar for `total` bytes; zero when that is not known.
    init(total: Int) { self.total = total }

    /// Draws that `byteCount` bytes are loaded, when a percent was passed.
    func show(_ byteCount: Int) {
        guard isTerminal, total > 0 else { return }
        let percent = min(100, byteCount * 100 / total)
        guard shownPercent.exchange(percent, ordering: .relaxed) != percent else { return }
        let filled = percent * 40 / 100
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 40 - filled)
        Console.error(
            "\r\(bar) \(percent) %  \(byteCount >> 20) of \(total >> 20) MiB" + (percent == 100 ? "\n" : ""),
            terminator: "")
    }
}

/// Lines for the person who started the program.
enum Console {
    /// Writes to standard error at once.
    static func error(_ text: String, terminator: String = "\n") {
        var bytes = Array((text + terminator).utf8)[...]
        while !bytes.isEmpty {
            let written = unsafe bytes.withUnsafeBytes {
                unsafe write(STDERR_FILENO, $0.baseAddress, $0.count)
            }
            // A closed or full standard error is not worth stopping for.
            guard written > 0 else { return }
            bytes = bytes.dropFirst(written)
        }
    }
}
