import Testing

@testable import Images

/// Decoding against Pillow 13.
struct DecodingTests {
    let decoder = LibraryImageDecoder()

    @Test(arguments: ImageFixtures.decoding)
    func `a file decodes to Pillow's pixels`(_ golden: ImageFixtures.DecodingCase) throws {
        let header = try ImageFile.readHeader(of: golden.bytes)
        #expect(header.width == golden.width && header.height == golden.height)
        #expect(golden.name.hasPrefix(header.format.rawValue))
        let pixels = try decoder.decode(golden.bytes, limits: ImageLimits())
        #expect(pixels.width == golden.width && pixels.height == golden.height)
        #expect(SHA256.hexadecimal(SHA256.digest(of: pixels.bytes)) == golden.sha256)
    }

    @Test func `the eight orientations of one picture are one another's turns`() throws {
        let upright = try decoder.decode(ImageFixtures.file("png orientation 1"), limits: ImageLimits())
        let turned = try decoder.decode(ImageFixtures.file("png orientation 6"), limits: ImageLimits())
        #expect(turned.width == upright.height && turned.height == upright.width)
        for y in 0..<turned.height {
            for x in 0..<turned.width {
                let source = ((upright.height - 1 - x) * upright.width + y) * 3
                let target = (y * turned.width + x) * 3
                #expect(upright.bytes[source..<(source + 3)] == turned.bytes[target..<(target + 3)])
            }
        }
    }

    @Test func `an animation of ten thousand frames costs as much as its first`() throws {
        let file = ImageFixtures.file("gif palette")
        let frame = Array(file[(13 + 3 * 64)..<(file.count - 1)])
        var long = Array(file.dropLast())
        for _ in 0..<10_000 { long += frame }
        long.append(0x3b)
        let limits = ImageLimits(maxByteCount: .max)
        let start = ContinuousClock.now
        let pixels = try decoder.decode(long, limits: limits)
        #expect(ContinuousClock.now - start < .milliseconds(500))
        #expect(pixels == (try decoder.decode(file, limits: limits)))
    }
}
