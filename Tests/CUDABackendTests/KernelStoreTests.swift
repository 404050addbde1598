import Foundation
import Tensors
import Testing

@testable import CUDABackend

@Suite struct KernelStoreTests {
    private let code = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }

    @Test func `what is kept is found again, under its own key alone`() throws {
        let folder = try TemporaryFolder(), store = KernelStore(folder: folder.path + "/made/on/demand")
        #expect(store.code(for: "key") == nil)
        store.keep(code, for: "key")
        store.keep([1, 2, 3], for: "other")
        #expect(store.code(for: "key") == code)
        #expect(KernelStore(folder: store.folder).code(for: "other") == [1, 2, 3])
        #expect(store.code(for: "another") == nil)
        store.keep([4], for: "key")
        #expect(store.code(for: "key") == [4])
    }

    @Test func `a damaged file, a shortened one and another's are as good as none`() throws {
        let folder = try TemporaryFolder(), store = KernelStore(folder: folder.path)
        store.keep(code, for: "key")
        let path = "\(folder.path)/\(try #require(folder.files.first))"
        let whole = try Data(contentsOf: URL(fileURLWithPath: path))
        for place in [0, 8, 16, 24, 50_000, whole.count - 1] {
            var damaged = whole
            damaged[place] ^= 1
            try damaged.write(to: URL(fileURLWithPath: path))
            #expect(store.code(for: "key") == nil, "byte \(place)")
        }
        for length in [0, 1, 23, 24, 25, 70_000, whole.count - 1] {
            try whole.prefix(length).write(to: URL(fileURLWithPath: path))
            #expect(store.code(for: "key") == nil, "\(length) bytes")
        }
        // A file of another key, as if both had the same name.
        try whole.write(to: URL(fileURLWithPath: path))
        store.keep(code, for: "other")
        let other = try #require(folder.files.first { !path.hasSuffix($0) })
        try whole.write(to: URL(fileURLWithPath: "\(folder.path)/\(other)"))
        #expect(store.code(for: "other") == nil && store.code(for: "key") == code)
    }

    @Test func `without a folder, or with one that cannot be written, nothing is kept and nothing fails`()
        throws
    {
        KernelStore(folder: nil).keep(code, for: "key")
        #expect(KernelStore(folder: nil).code(for: "key") == nil)
        // A file stands where the folder should be: so it is for root, too, whom permissions do not stop.
        let folder = try TemporaryFolder()
        try "a file".write(toFile: folder.path + "/taken", atomically: true, encoding: .utf8)
        let store = KernelStore(folder: folder.path + "/taken/kernels")
        store.keep(code, for: "key")
        #expect(store.code(for: "key") == nil && folder.files == ["taken"])
    }

    @Test func `two writers leave one whole file, and a reader never sees half of it`() throws {
        let folder = try TemporaryFolder(), store = KernelStore(folder: folder.path), code = code
        let seen = try inParallel(count: 60, threads: 3) { (index) throws(DeviceError) -> [UInt8]? in
            if index % 3 == 0 { return store.code(for: "key") }
            store.keep(code, for: "key")
            return nil
        }
        #expect(seen.compactMap(\.self).allSatisfy { $0 == code })
        #expect(store.code(for: "key") == code && folder.files.count == 1)
    }
}
