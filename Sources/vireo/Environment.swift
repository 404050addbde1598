import ArgumentParser
import Glibc

/// The environment variables of LightLLM that mean something here.
enum Environment {
    /// LOADWORKER: threads that load weights.
    static func loaderThreads() throws -> Int { try number("LOADWORKER", 1...256) ?? 1 }

    /// INTERNVL_IMAGE_LENGTH: image tokens a tile becomes; only checked against the tower.
    static func imageLength() throws -> Int? { try number("INTERNVL_IMAGE_LENGTH", 1...65536) }

    /// MAX_PATCH_NUM: the most tiles of a picture, when --max_tiles is not given.
    static func maxTiles() throws -> Int? { try number("MAX_PATCH_NUM", 1...256) }

    private static func number(_ name: String, _ range: ClosedRange<Int>) throws -> Int? {
        guard let pointer = unsafe getenv(name) else { return nil }
        let text = unsafe String(cString: pointer)
        guard !text.isEmpty else { return nil }
        guard let value = Int(text), range.contains(value) else {
            throw ValidationError(
                "the environment variable \(name) must be a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }
}

/// The machine's processor.
enum Processor {
    /// How many cores are there to compute on.
    static var coreCount: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
}
