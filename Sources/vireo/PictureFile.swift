import ArgumentParser
import Benchmarks
import Checkpoints
import Images

/// A picture that benchmarks send instead of noise: shared by both.
struct PictureFile: ParsableArguments {
    @Option(
        name: .flag("image_file"),
        help:
            "A picture to send instead of noise, each time with other bytes behind its end, so that none is cached."
    )
    var path: String?

    /// The file; nil without one.
    func contents() throws -> [UInt8]? {
        guard let path else { return nil }
        guard let file = try Files.read(path, atMost: ImageLimits().maxByteCount) else {
            throw StartError("--image_file: there is no file \(path)")
        }
        return file
    }

    /// A picture: `file` with `number` behind its end, or noise of that size.
    static func picture(_ number: UInt64, of file: [UInt8]?, size: PictureSize) -> [UInt8] {
        if let file { return file + Array("\(number)".utf8) }
        return NoisePicture.png(width: size.width, height: size.height, seed: number)
    }
}
