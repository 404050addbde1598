import CCUDA
import Glibc
import Synchronization
import Tensors

/// NCCL, found at run time.
struct NCCL: @unchecked Sendable {
    // Safe: function pointers, written once.
    let functions: vireo_nccl

    /// Finds the library, in `folder` first if given.
    init(folder: String?) throws(DeviceError) {
        let library = try LibrarySearch(override: folder).open(
            ["libnccl.so.2"], for: "ranks on GPUs that cannot reach each other's memory")
        var functions = vireo_nccl()
        if let missing = unsafe vireo_find_nccl(library.handle, &functions) {
            // Safe: a string constant.
            throw .failed("\(library.name) has no function \(unsafe String(cString: missing)): it is too old")
        }
        self.functions = functions
    }

    /// What the ranks of a communicator know each other by.
    func makeID() throws(DeviceError) -> vireo_nccl_id {
        var id = vireo_nccl_id()
        try attempt(unsafe functions.make_id(&id), "making an id")
        return id
    }

    /// Ranks `first`, `first` + 1, … of a communicator of `count`, one on each of `streams`.
    ///
    /// Returns when all ranks, those of other processes too, are there.
    func join(
        _ streams: [CUDAStream], first: Int = 0, of count: Int, id: vireo_nccl_id,
    ) throws(DeviceError) -> [NCCLRank] {
        var handles = [UInt](repeating: 0, count: streams.count)
        try attempt(functions.start_group(), "joining")
        var status: Int32 = 0
        unsafe handles.withUnsafeMutableBytes { bytes in
            // Safe: an address is as large as a handle; NCCL fills them in before the group ends.
            let places = unsafe bytes.assumingMemoryBound(to: UnsafeMutableRawPointer?.self)
            for (place, stream) in streams.enumerated() where status == 0 {
                stream.enter()
                status = unsafe functions.join(
                    places.baseAddress?.advanced(by: place), Int32(count), id, Int32(first + place))
            }
            let end = functions.end_group()
            if status == 0 { status = end }
        }
        try attempt(status, "joining")
        return zip(streams, handles).map { stream, handle in NCCLRank(self, stream, handle) }
    }

    func text(_ status: Int32) -> String {
        // Safe: a constant of the library's.
        unsafe functions.error_text(status).map { unsafe String(cString: $0) } ?? "error \(status)"
    }

    private func attempt(_ status: Int32, _ what: String) throws(DeviceError) {
        if status != 0 { throw .failed("NCCL: \(what) failed: \(text(status))") }
    }
}

/// A rank of a communicator.
final class NCCLRank: Sendable {
    private let library: NCCL
    private let stream: CUDAStream
    /// The communicator.
    private let address: UInt
    /// Whether the rank has not left; held by who uses the communicator.
    private let isThere = Mutex(true)

    init(_ library: NCCL, _ stream: CUDAStream, _ handle: UInt) {
        self.library = library
        self.stream = stream
        address = handle
    }

    /// Types of nccl.h.
    enum Element: Int32 {
        case u32 = 3
        case f32 = 7
    }

    /// Enqueues x = Σ over ranks x of `count` elements.
    func sum(_ x: UInt, count: Int, as type: Element) {
        stream.enter()
        isThere.withLock { isThere in
            guard isThere else { return }
            let pointer = unsafe UnsafeMutableRawPointer(bitPattern: x)
            let status = unsafe library.functions.all_reduce(
                pointer, pointer, count, type.rawValue, 0, UnsafeMutableRawPointer(bitPattern: address),
                stream.handle)
            if status != 0 { stream.fail(.failed("NCCL: a sum over ranks failed: \(library.text(status))")) }
        }
    }

    /// Leaves: whatever is on the way ends, and others that wait for this rank do so no longer when they leave too.
    func leave() {
        stream.enter()
        func abort() { unsafe _ = library.functions.abort(UnsafeMutableRawPointer(bitPattern: address)) }
        for _ in 0..<100 {
            let isDone: Void? = isThere.withLockIfAvailable { isThere in
                if isThere { abort() }
                isThere = false
            }
            if isDone != nil { return }
            usleep(10_000)
        }
        // A call that waits for others inside of the library ends when it is aborted.
        abort()
    }
}
