import CCUDA
import Glibc
import Synchronization
import Tensors

/// Page-locked host memory: copies to and from it run beside the host.
final class PinnedMemory: @unchecked Sendable {
    // Safe: the address never changes; who writes where is up to the owner.
    let byteCount: Int
    let address: UInt
    private let stream: CUDAStream

    init(stream: CUDAStream, byteCount: Int) throws(DeviceError) {
        stream.enter()
        var pointer: UnsafeMutableRawPointer?
        let status = unsafe stream.libraries.driver.allocate_host(&pointer, byteCount, 0)
        guard status == 0, let pointer = unsafe pointer else {
            throw .failed("the system gives no \(byteCount >> 20) MiB of page-locked memory")
        }
        unsafe memset(pointer, 0, byteCount)
        address = UInt(bitPattern: pointer)
        self.byteCount = byteCount
        self.stream = stream
    }

    deinit {
        stream.enter()
        unsafe _ = stream.libraries.driver.free_host(UnsafeMutableRawPointer(bitPattern: address))
    }

    /// All of it.
    // Safe: as long as the object.
    var bytes: UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(
            start: UnsafeMutableRawPointer(bitPattern: address), count: byteCount)
    }
}

/// A mark in a queue that the host can wait for.
final class CUDAEvent: @unchecked Sendable {
    // Safe: a handle, written once.
    private let stream: CUDAStream
    private let event: UInt

    /// With `isTimed` it also tells times.
    init(stream: CUDAStream, isTimed: Bool = false) throws(DeviceError) {
        stream.enter()
        let noTiming: UInt32 = 2
        var event: UnsafeMutableRawPointer?
        try CUDAStream.attempt(
            stream.libraries, unsafe stream.libraries.driver.create_event(&event, isTimed ? 0 : noTiming),
            "making an event")
        self.event = UInt(bitPattern: event)
        self.stream = stream
    }

    deinit {
        stream.enter()
        unsafe _ = stream.libraries.driver.destroy_event(UnsafeMutableRawPointer(bitPattern: event))
    }

    // Safe: as long as the object.
    private var handle: UnsafeMutableRawPointer? { unsafe UnsafeMutableRawPointer(bitPattern: event) }

    /// Puts the mark behind all work so far.
    func record() {
        stream.enter()
        unsafe stream.note(stream.libraries.driver.record(handle, stream.handle), "marking")
    }

    /// Waits until the work before the mark is done; at once when it was never put anywhere.
    func wait() {
        stream.enter()
        unsafe stream.note(stream.libraries.driver.wait_event(handle), "the work")
    }

    /// Milliseconds from the mark of `start` to this one; both are timed and reached.
    func milliseconds(since start: CUDAEvent) -> Double {
        var time: Float = 0
        unsafe stream.note(stream.libraries.driver.elapsed(&time, start.handle, handle), "reading a time")
        return Double(time)
    }
}

/// A way to the device: parts of page-locked memory in turn, each free again when its copy is done.
///
/// Belongs to one thread at a time.
final class UploadLane: @unchecked Sendable {
    // Safe: `next` is with the thread that has the lane.
    let stream: CUDAStream
    private let memory: PinnedMemory
    private let events: [CUDAEvent]
    private let partByteCount: Int
    private var next = 0

    /// `count` parts of `partByteCount` bytes.
    init(stream: CUDAStream, parts count: Int, partByteCount: Int) throws(DeviceError) {
        self.stream = stream
        self.partByteCount = partByteCount
        memory = try PinnedMemory(stream: stream, byteCount: count * partByteCount)
        var events: [CUDAEvent] = []
        for _ in 0..<count { events.append(try CUDAEvent(stream: stream)) }
        self.events = events
    }

    /// Bytes that go in one piece.
    var pieceByteCount: Int { partByteCount }

    /// Enqueues a copy of `bytes` to the device; they may change at once afterwards.
    func send(_ bytes: UnsafeRawBufferPointer, to address: UInt) {
        stream.enter()
        var start = 0
        while start < bytes.count {
            let count = min(partByteCount, bytes.count - start)
            events[next].wait()
            // Safe: a part is as long, and its last copy is done.
            let part = unsafe memory.bytes[(next * partByteCount)..<(next * partByteCount + count)]
            unsafe UnsafeMutableRawBufferPointer(rebasing: part).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: bytes[start..<(start + count)]))
            if let source = unsafe UnsafeRawPointer(bitPattern: memory.address + UInt(next * partByteCount)) {
                unsafe stream.copyIn(source, to: address + UInt(start), byteCount: count)
            }
            events[next].record()
            next = (next + 1) % events.count
            start += count
        }
    }
}

/// Lanes that loading threads borrow, each with a queue of its own.
final class LanePool: Sendable {
    private let stream: CUDAStream
    private let idle = Mutex<[UploadLane]>([])

    init(stream: CUDAStream) { self.stream = stream }

    /// What `body` makes with a lane; all it enqueued is done when this returns.
    func withLane<Value>(_ body: (UploadLane) throws(DeviceError) -> Value) throws(DeviceError) -> Value {
        let lane: UploadLane
        if let kept = idle.withLock({ $0.popLast() }) {
            lane = kept
        } else {
            lane = try UploadLane(stream: CUDAStream(beside: stream), parts: 2, partByteCount: 8 << 20)
        }
        // Also when it throws: the lane's memory is in use until its work is done.
        defer { idle.withLock { $0.append(lane) } }
        do throws(DeviceError) {
            let value = try body(lane)
            try lane.stream.wait()
            return value
        } catch {
            try? lane.stream.wait()
            throw error
        }
    }
}
