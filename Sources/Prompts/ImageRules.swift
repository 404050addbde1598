package import Images
import Scheduling

/// How a model wants its pictures: cut, counted, and marked in the prompt.
package struct ImageRules: Sendable {
    /// How pictures are cut.
    package let cut: ImageCut
    /// The texts of the special tokens that open a picture, stand for an image token, and close a picture; without the
    /// first and the last (both empty) the second alone stands for a picture.
    package let start: String
    package let context: String
    package let end: String
    /// Whether each picture is announced by its number and followed by a line end; what stands between the tokens that
    /// open and close it is then left out, as some write an address there.
    package let areNumbered: Bool
    /// What else stands in front of what opens a picture and behind what closes it, where the first alone stands for a
    /// picture in texts; nil where it does not.
    package let surroundings: String?
    /// Tells this model's embeddings from another's.
    package let modelIdentity: String

    /// Takes a model's rules.
    package init(
        cut: ImageCut, start: String, context: String, end: String, areNumbered: Bool = false,
        surroundings: String? = nil,
        modelIdentity: String,
    ) {
        self.cut = cut
        self.start = start
        self.context = context
        self.end = end
        self.areNumbered = areNumbered
        self.surroundings = surroundings
        self.modelIdentity = modelIdentity
    }

    /// What stands in a prompt where a picture goes.
    var pair: String { hasEnds ? (surroundings ?? "") + start + end + (surroundings ?? "") : context }
    /// What stands for a picture in a text.
    var place: String { surroundings == nil ? pair : start }

    /// `text` with all that belongs round a picture where what opens one stands for it; as it is when pictures are closed in
    /// it.
    func completed(_ text: String) -> String {
        surroundings == nil || text.count(of: end) > 0 ? text : text.replacing(start, with: pair)
    }

    /// Whether a picture is opened and closed.
    var hasEnds: Bool { !start.isEmpty && !end.isEmpty }
    /// The texts of all its special tokens.
    var marks: [String] {
        if case .split = cut { return [context, SplitFrame.mark] }
        return hasEnds ? [start, context, end] : [context]
    }

    /// The text of a picture between whose image tokens there is some.
    private func frame(_ plan: ImagePlan) -> String? {
        if case .split(let plan) = plan { SplitFrame.text(plan, context: context) } else { nil }
    }

    /// `text` with `Picture k:` before the k-th opening mark and a line end behind each closing one, as LightLLM writes
    /// them, for a model whose pictures are numbered.
    func numbered(_ text: String) -> String {
        guard areNumbered else { return text }
        var count = 0
        return text.replacing(start) {
            count += 1
            return "Picture \(count):\(start)"
        }.replacing(end) { "\(end)\n" }
    }

    /// Reads a picture's header and counts its tokens.
    func plan(
        _ encoded: [UInt8], maxTiles: Int?, limits: ImageLimits, decoder: any ImageDecoder,
    ) throws(ImageError) -> PlannedImage {
        let header = try ImageFile.readHeader(of: encoded, limits: limits)
        let plan = cut.plan(width: header.width, height: header.height, maxTiles: maxTiles)
        // The plan, not the options: requests with other caps that come to the same tiles share the embeddings.
        let key = ContentKey(encoded: encoded, preprocessing: plan.name, model: modelIdentity)
        return PlannedImage(
            key: ImageKey(digest: key.bytes), tokenCount: plan.tokenCount, columns: plan.columns,
            frame: frame(plan),
            picture: { () throws(ImageError) -> DecodedPicture in
                DecodedPicture(try decoder.decode(encoded, limits: limits), plan.cut)
            })
    }

    /// Counts the tokens of a picture of which only the size is known; it cannot be decoded.
    func plan(width: Int, height: Int, maxTiles: Int?, limits: ImageLimits) throws(ImageError) -> PlannedImage
    {
        try limits.check(width: width, height: height)
        let plan = cut.plan(width: width, height: height, maxTiles: maxTiles)
        let key = ContentKey(encoded: [], preprocessing: "\(width)x\(height)", model: modelIdentity)
        return PlannedImage(
            key: ImageKey(digest: key.bytes), tokenCount: plan.tokenCount, columns: plan.columns,
            frame: frame(plan),
            picture: { () throws(ImageError) -> DecodedPicture in throw .empty })
    }
}
