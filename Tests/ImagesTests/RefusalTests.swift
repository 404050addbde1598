import TestRandom
import Testing

@testable import Images

/// What must be refused, quickly and without a trap.
struct RefusalTests {
    let decoder = LibraryImageDecoder()
    let limits = ImageLimits()

    /// The error decoding ends with; nil when it succeeds.
    ///
    /// The header may be fine where the pixels are not.
    private func refusal(_ bytes: [UInt8], limits: ImageLimits = ImageLimits()) -> ImageError? {
        do {
            _ = try decoder.decode(bytes, limits: limits)
            return nil
        } catch {
            #expect(!error.message.isEmpty)
            return error
        }
    }

    @Test(arguments: ImageFixtures.decoding)
    func `a cut file is refused, or whole behind its last pixel`(_ golden: ImageFixtures.DecodingCase) throws
    {
        let bytes = golden.bytes
        let whole = try decoder.decode(bytes, limits: limits)
        let cuts = bytes.count <= 400 ? Array(0..<bytes.count) : (0..<400).map { $0 * bytes.count / 400 }
        var decodedCount = 0
        for cut in cuts {
            guard let pixels = try? decoder.decode(Array(bytes[..<cut]), limits: limits) else { continue }
            decodedCount += 1
            #expect(pixels == whole, "cut at \(cut) of \(bytes.count)")
        }
        #expect(refusal(Array(bytes[..<(bytes.count * 3 / 10)])) != nil)
        #expect(golden.name.hasPrefix("png") ? decodedCount == 0 : decodedCount < cuts.count)
    }

    @Test(arguments: ImageFixtures.decoding)
    func `flipped bytes never trap`(_ golden: ImageFixtures.DecodingCase) {
        let bytes = golden.bytes
        var random = SeededRandom(seed: UInt64(bytes.count))
        var small = limits
        small.maxPixelCount = 1_000_000
        var refusedCount = 0
        for round in 0..<60 {
            var damaged = bytes
            for _ in 0...(round % 4) {
                // Half of the flips hit the first hundred bytes, where the structure is.
                let reach = round.isMultiple(of: 2) ? min(bytes.count, 100) : bytes.count
                damaged[Int.random(in: 0..<reach, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if refusal(damaged, limits: small) != nil { refusedCount += 1 }
        }
        #expect(refusedCount > 0)
    }

    @Test func `a wrong checksum is refused in every chunk of a PNG`() {
        let bytes = ImageFixtures.file("png text, gamma and profile")
        var offset = 8
        var chunkCount = 0
        while offset + 12 <= bytes.count {
            let length = bytes[offset..<(offset + 4)].reduce(0) { $0 << 8 | Int($1) }
            var damaged = bytes
            damaged[offset + 8 + length] ^= 1
            #expect(refusal(damaged) != nil, "chunk at \(offset)")
            chunkCount += 1
            offset += 12 + length
        }
        #expect(chunkCount == 7)
    }

    @Test(arguments: [
        ("<svg xmlns='http://www.w3.org/2000/svg'><image href='http://h/x'/></svg>", "SVG"),
        ("<!DOCTYPE html><html></html>", "HTML"), ("%PDF-1.7\n", "PDF"), ("PK\u{3}\u{4}", "ZIP"),
        ("II*\0\u{8}\0\0\0", "TIFF"), ("MM\0*\0\0\0\u{8}", "TIFF"), ("BM\u{36}\0\0\0", "BMP"),
        ("\0\0\0\u{c}jP  \r\n", "JPEG 2000"), ("\0\0\0\u{1c}ftypavif", "AVIF"),
        ("\0\0\0\u{1c}ftypmp42", "MP4"),
        ("\0\0\u{1}\0\u{1}\0", "ICO"), ("GIF88a", "not quite GIF"), ("RIFF\0\0\0\0WAVE", "WAV"),
        ("x", "one byte"),
        ("GIF8", "four bytes"), ("%!PS-Adobe", "PostScript"), ("8BPS", "Photoshop"),
    ])
    func `other formats are unsupported`(_ text: String, _ name: String) {
        let bytes = text.unicodeScalars.map { UInt8($0.value) }
        #expect(refusal(bytes) == .unsupportedFormat, "\(name)")
        #expect(refusal(bytes + Array(repeating: 0, count: 100)) == .unsupportedFormat, "\(name)")
    }

    @Test func `no bytes, noise and too many bytes are refused`() {
        #expect(refusal([]) == .empty)
        #expect(refusal(ImageFixtures.noise(4096, seed: 3)) == .unsupportedFormat)
        let file = ImageFixtures.file("png 8x8")
        let few = ImageLimits(maxByteCount: file.count - 1)
        #expect(refusal(file, limits: few) == .tooManyBytes(count: file.count, limit: file.count - 1))
        #expect(refusal(file, limits: ImageLimits(maxByteCount: file.count)) == nil)
    }

    /// A PNG that begins with the given size and has nothing behind.
    private func pngHeader(_ width: UInt32, _ height: UInt32, depth: UInt8 = 1) -> [UInt8] {
        func big(_ value: UInt32) -> [UInt8] {
            (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) }
        }
        return [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a] + big(13) + Array("IHDR".utf8) + big(width)
            + big(height) + [depth, 0, 0, 0, 0] + big(0)
    }

    @Test func `hostile sizes are refused by their header at once`() {
        let gif =
            Array("GIF89a".utf8) + [
                0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 0, 0x3b,
            ]
        let farFrame =
            Array("GIF89a".utf8) + [1, 0, 1, 0, 0, 0, 0, 0x2c, 0xff, 0xff, 0xff, 0xff, 1, 0, 1, 0, 0, 2, 0]
        var webp = Array("RIFF".utf8) + [24, 0, 0, 0] + Array("WEBPVP8L".utf8) + [11, 0, 0, 0, 0x2f]
        webp += [0xfe, 0xbf, 0xff, 0x0f] + Array(repeating: 0, count: 7)
        var extended =
            Array("RIFF".utf8) + [34, 0, 0, 0] + Array("WEBPVP8X".utf8) + [10, 0, 0, 0, 0, 0, 0, 0]
        extended += [0xff, 0xff, 0xff, 0xff, 0xff, 0xff] + Array("VP8 ".utf8) + [4, 0, 0, 0, 0, 0, 0, 0]
        let start = ContinuousClock.now
        #expect(
            refusal(pngHeader(20000, 20000)) == .tooManyPixels(width: 20000, height: 20000, limit: 64_000_000)
        )
        for bytes in [
            pngHeader(0x7fff_ffff, 0x7fff_ffff), pngHeader(.max, .max), gif, farFrame, webp, extended,
        ] {
            guard case .tooManyPixels = refusal(bytes) else {
                Issue.record("\(String(describing: refusal(bytes)))")
                continue
            }
        }
        #expect(refusal(pngHeader(0, 5)) == .noPixels)
        #expect(refusal(pngHeader(5, 0)) == .noPixels)
        #expect(ContinuousClock.now - start < .milliseconds(140))
    }

    @Test func `a jpeg of hostile size is refused by its header`() {
        var bytes = ImageFixtures.file("jpeg progressive 4:2:0")
        guard let frame = bytes.indices.first(where: { bytes[$0] == 0xff && bytes[$0 + 1] == 0xc2 }) else {
            Issue.record("no frame header")
            return
        }
        bytes.replaceSubrange((frame + 5)..<(frame + 9), with: [0xff, 0xdc, 0xff, 0xdc])
        guard case .tooManyPixels = refusal(bytes) else {
            Issue.record("accepted")
            return
        }
        bytes.replaceSubrange((frame + 5)..<(frame + 9), with: [0, 0, 0, 9])
        #expect(refusal(bytes) == .noPixels)
        bytes[frame + 4] = 12
        #expect(refusal(bytes) == .unsupportedVariant(.jpeg))
    }

    @Test func `more than a hundred scans are refused`() throws {
        let file = ImageFixtures.file("jpeg progressive 4:4:4")
        let first = try #require(file.indices.dropLast().first { file[$0] == 0xff && file[$0 + 1] == 0xda })
        let end = try #require(
            file.indices.dropLast().first { $0 > first && file[$0] == 0xff && file[$0 + 1] != 0 })
        func repeated(_ count: Int) -> [UInt8] {
            file[..<end] + (0..<count).flatMap { _ in file[first..<end] } + file[end...]
        }
        #expect(refusal(repeated(200)) == .tooManyScans)
        #expect(refusal(repeated(5)) == nil)
    }

    @Test(arguments: [
        "jpeg baseline 4:2:0", "jpeg progressive 4:2:0", "jpeg grey baseline", "jpeg cmyk baseline",
    ])
    func `a cut scan with an end marker behind it is refused, not filled with grey`(_ name: String) {
        let file = ImageFixtures.file(name)
        for part in 3...8 {
            #expect(refusal(Array(file[..<(file.count * part / 9)]) + [0xff, 0xd9]) != nil, "\(part) ninths")
        }
    }

    @Test func `headers made of many small parts are walked in linear time`() {
        let chunk: [UInt8] = [0, 0, 0, 0] + Array("teXt".utf8) + [0, 0, 0, 0]
        func repeated(_ part: [UInt8], _ count: Int) -> [UInt8] {
            Array(repeatElement(part, count: count).joined())
        }
        let png = pngHeader(8, 8) + repeated(chunk, 200_000)
        let gif = Array("GIF89a".utf8) + [8, 0, 8, 0, 0, 0, 0] + repeated([0x21, 0xfe, 0], 800_000)
        let jpeg = [0xff, 0xd8] + Array(repeating: UInt8(0xff), count: 2_400_000)
        let segments = [0xff, 0xd8] + repeated([0xff, 0xe0, 0, 2], 600_000)
        let start = ContinuousClock.now
        for bytes in [png, gif, jpeg, segments] { _ = try? ImageFile.readHeader(of: bytes) }
        #expect(ContinuousClock.now - start < .seconds(5))
    }

    @Test func `more than two hundred to one is refused`() {
        #expect(refusal(pngHeader(10000, 1)) == .tooElongated(width: 10000, height: 1, limit: 200))
        #expect(refusal(pngHeader(10, 2001)) == .tooElongated(width: 10, height: 2001, limit: 200))
        #expect(refusal(pngHeader(10, 2000)) != .tooElongated(width: 10, height: 2000, limit: 200))
        #expect(refusal(ImageFixtures.file("jpeg 200x1")) == nil)
    }

    @Test func `a frame larger than its canvas is refused`() throws {
        var file = ImageFixtures.file("webp first frame smaller, clear")
        let frame = try #require(file.indices.first { file[$0...].starts(with: Array("ANMF".utf8)) })
        file[frame + 8] = 9
        #expect(refusal(file) == .corrupt(.webp))
    }

    @Test func `messages quote nothing of the picture`() {
        #expect(
            ImageError.unsupportedFormat.message == "unsupported image format; send JPEG, PNG, WebP or GIF")
        #expect(ImageError.corrupt(.webp).message == "the WebP image is damaged")
    }
}
