import ArgumentParser
import Benchmarks
import Checkpoints
import Images
import Prompts

/// `vireo bench images`: what pictures cost before the model sees them.
struct BenchImages: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "images",
        abstract: "Measures reading, decoding and cutting of picture files, on one thread.",
        discussion: "The cut is InternVL's, into tiles of 448 x 448 pixels. Times are medians.")

    @Argument(help: "Picture files.")
    var paths: [String]

    @Option(name: .flag("repetitions"), help: "How often each file is taken.")
    var repetitions = 20

    @Option(name: .flag("max_tiles"), help: "The most tiles of a picture, without the thumbnail.")
    var maxTiles = 12

    func validate() throws {
        try Bounds.check("--repetitions", repetitions, 1...100_000)
        try Bounds.check("--max_tiles", maxTiles, 1...256)
    }

    func run() throws {
        let cut = ImageCut.tiles(TilingOptions(maxTiles: maxTiles), tokensPerTile: 256)
        for path in paths {
            guard let file = try Files.read(path, atMost: ImageLimits().maxByteCount) else {
                throw StartError("there is no file \(path)")
            }
            do { try measure(file, path, cut) } catch { throw StartError("\(path): \(error.message)") }
        }
    }

    private func measure(_ file: [UInt8], _ path: String, _ cut: ImageCut) throws(ImageError) {
        let header = try ImageFile.readHeader(of: file, limits: ImageLimits())
        let plan = cut.plan(width: header.width, height: header.height)
        let text = Array(Base64Text.encode(file).utf8)
        var pixels = try LibraryImageDecoder().decode(file, limits: ImageLimits())
        var tileCount = 0
        let base64 = try time { () throws(ImageError) in _ = try Base64.decode(text) }
        let key = try time { () throws(ImageError) in
            _ = try ImageFile.readHeader(of: file, limits: ImageLimits())
            _ = ContentKey(encoded: file, preprocessing: plan.name, model: "")
        }
        let decoding = try time { () throws(ImageError) in
            pixels = try LibraryImageDecoder().decode(file, limits: ImageLimits())
        }
        let cutting = try time { () throws(ImageError) in tileCount = ImageTiles(pixels, plan.cut).tileCount }
        let megapixels = Double(header.width * header.height) / 1e6
        print("\(path): \(header.width)x\(header.height), \(file.count) bytes, \(tileCount) tiles")
        for (what, seconds) in [
            ("base64", base64), ("header and key", key), ("decode", decoding), ("cut", cutting),
        ] {
            print(
                "  \(what): \(Decimals.two(seconds * 1000)) ms, \(Decimals.two(megapixels / seconds)) megapixels/s"
            )
        }
    }

    /// The median of the times `body` takes, in seconds.
    private func time(_ body: () throws(ImageError) -> Void) throws(ImageError) -> Double {
        var times: [Double] = []
        for _ in 0..<repetitions {
            let start = BenchStep.now
            try body()
            times.append(BenchStep.now - start)
        }
        return Distribution(times).median
    }
}
