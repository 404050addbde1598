import Images
import Models

extension VisionShape {
    /// The rules for tiles; nil where pictures keep their size.
    var tiling: TilingOptions? {
        if case .tiles(let options, _) = cut { options } else { nil }
    }
}
