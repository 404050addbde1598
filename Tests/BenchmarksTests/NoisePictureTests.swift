import Benchmarks
import Images
import Testing

/// The pictures that benchmarks send.
struct NoisePictureTests {
    @Test(arguments: [(1, 1), (7, 3), (448, 448), (300, 500)])
    func `they are pictures of the asked size, and no two alike`(width: Int, height: Int) throws {
        let files = (0..<2).map { NoisePicture.png(width: width, height: height, seed: UInt64($0)) }
        let pictures = try files.map { try LibraryImageDecoder().decode($0, limits: ImageLimits()) }
        #expect(pictures.allSatisfy { $0.width == width && $0.height == height })
        #expect(pictures[0] != pictures[1])
    }
}

/// Base64 as it is sent.
struct Base64TextTests {
    @Test func `what is written is read back strictly`() throws {
        for count in 0..<200 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 73 + count) }
            #expect(try Base64.decode(Array(Base64Text.encode(bytes).utf8)) == bytes)
        }
    }
}
