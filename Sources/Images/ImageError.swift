/// Why a picture is refused.
///
/// Messages are fixed: no path, name or byte of the picture appears in them.
package enum ImageError: Error, Hashable, Sendable {
    /// There are no bytes.
    case empty
    /// More bytes than the limit.
    case tooManyBytes(count: Int, limit: Int)
    /// The bytes begin like none of the supported formats.
    case unsupportedFormat
    /// The format is supported, this kind of it is not (12-bit or lossless JPEG, for example).
    case unsupportedVariant(ImageFormat)
    /// Width or height is zero.
    case noPixels
    /// More pixels than the limit.
    case tooManyPixels(width: Int, height: Int, limit: Int)
    /// The longer side is more than `limit` times the shorter one.
    case tooElongated(width: Int, height: Int, limit: Int)
    /// The data end too early.
    case truncated(ImageFormat)
    /// The data contradict their format.
    case corrupt(ImageFormat)
    /// A JPEG of more scans than are worth decoding.
    case tooManyScans
    /// The decoder could not get its memory.
    case outOfMemory
    /// Text that is not base64 of the standard alphabet, padded, without blanks.
    case invalidBase64
    /// Text that is not a `data:` URL with a base64 picture.
    case invalidDataURL

    /// A sentence for the client.
    package var message: String {
        switch self {
        case .empty:
            "the image is empty"
        case .tooManyBytes(let count, let limit):
            "the image has \(count) bytes; at most \(limit) are accepted"
        case .unsupportedFormat:
            "unsupported image format; send JPEG, PNG, WebP or GIF"
        case .unsupportedVariant(let format):
            "this kind of \(format.name) is not supported; save the image as a plain 8-bit JPEG or PNG"
        case .noPixels:
            "the image has no pixels"
        case .tooManyPixels(let width, let height, let limit):
            "the image is \(width) × \(height); at most \(limit) pixels are accepted"
        case .tooElongated(let width, let height, let limit):
            "the image is \(width) × \(height); its longer side may be at most \(limit) times the shorter one"
        case .truncated(let format):
            "the \(format.name) image is cut off; send the whole file"
        case .corrupt(let format):
            "the \(format.name) image is damaged"
        case .tooManyScans:
            "the progressive JPEG has too many scans; save it again as a baseline JPEG"
        case .outOfMemory:
            "there was not enough memory to decode the image"
        case .invalidBase64:
            "the image is not valid base64 (standard alphabet, padded, no blanks or line breaks)"
        case .invalidDataURL:
            "the image URL is not of the form data:image/<type>;base64,<data>"
        }
    }
}
