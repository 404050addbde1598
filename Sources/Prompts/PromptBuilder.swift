package import Images
package import Scheduling
package import Tokenizers

/// Turns what a client sends (text or a chat, and pictures) into token ids and image spans.
package struct PromptBuilder: Sendable {
    /// The model's tokenizer.
    package let tokenizer: Tokenizer
    private let template: ChatTemplate?
    private let rules: ImageRules?
    private let markers: MarkerIDs?
    private let vocabularyCount: Int
    private let decoder: any ImageDecoder
    /// Keeps what a client writes into a chat from being a token or the mark of a picture.
    private let shield: TextShield

    /// The ids of the marks round and in a picture.
    private struct MarkerIDs {
        /// nil where the mark of an image token alone stands for a picture.
        let around: (start: Int32, end: Int32)?
        let context: Int32
        /// Whether whatever stands between the two is left out.
        var areNumbered = false

        /// Whether a picture goes behind `id`, in front of `next`.
        func isPlace(_ id: Int32, _ next: Int32) -> Bool {
            around.map { id == $0.start && next == $0.end } ?? (id == context)
        }

        /// `ids` without the one image token that some write between the marks that open and close a picture, or
        /// without all that stands there.
        func pairs(in ids: [Int32]) -> [Int32] {
            guard let around else { return ids }
            if areNumbered { return emptied(ids, around) }
            return ids.indices.filter { index in
                !(ids[index] == context && index > 0 && ids[index - 1] == around.start
                    && index + 1 < ids.count && ids[index + 1] == around.end)
            }.map { ids[$0] }
        }

        /// `ids` without those between an opening mark and the next closing one.
        private func emptied(_ ids: [Int32], _ around: (start: Int32, end: Int32)) -> [Int32] {
            var kept: [Int32] = [], rest = ids[...]
            kept.reserveCapacity(ids.count)
            while let start = rest.firstIndex(of: around.start),
                let end = rest[start...].firstIndex(of: around.end)
            {
                kept += rest[...start]
                rest = rest[end...]
            }
            return kept + rest
        }
    }

    /// A builder for a model of `vocabularyCount` embeddings; throws when the tokenizer lacks the marks of pictures.
    package init(
        tokenizer: Tokenizer, template: ChatTemplate?, rules: ImageRules?, vocabularyCount: Int,
        decoder: any ImageDecoder = LibraryImageDecoder(),
    ) throws(PromptError) {
        self.tokenizer = tokenizer
        self.template = template
        self.rules = rules
        self.vocabularyCount = vocabularyCount
        self.decoder = decoder
        shield = tokenizer.shield(
            alsoFrom: ["<image>"] + (rules.map(\.marks) ?? []))
        guard let rules else {
            markers = nil
            return
        }
        guard let context = tokenizer.id(of: rules.context) else { throw .missingMarkers }
        guard rules.hasEnds else {
            guard rules.marks.allSatisfy({ tokenizer.id(of: $0) != nil }) else { throw .missingMarkers }
            markers = MarkerIDs(around: nil, context: context)
            return
        }
        guard let start = tokenizer.id(of: rules.start), let end = tokenizer.id(of: rules.end) else {
            throw .missingMarkers
        }
        markers = MarkerIDs(around: (start, end), context: context, areNumbered: rules.areNumbered)
    }

    /// Whether the model has a vision tower.
    package var takesImages: Bool { rules != nil }
    /// Whether pictures are cut into tiles, whose number a request may bound.
    package var cutsTiles: Bool { rules.map { $0.cut.hasTileLimit } ?? true }
    /// Whether a chat can be rendered.
    package var hasChatTemplate: Bool { template != nil }

    /// Reads a picture's header and plans its tiles: `maxTiles` overrides the model's cap.
    ///
    /// Nothing is decoded.
    package func plan(_ encoded: [UInt8], maxTiles: Int?, limits: ImageLimits) throws(ImageError)
        -> PlannedImage
    {
        guard let rules else { throw .unsupportedFormat }
        return try rules.plan(encoded, maxTiles: maxTiles, limits: limits, decoder: decoder)
    }

    /// Plans a picture of which only the size is known, to count its tokens.
    package func plan(width: Int, height: Int, maxTiles: Int?, limits: ImageLimits) throws(ImageError)
        -> PlannedImage
    {
        guard let rules else { throw .unsupportedFormat }
        return try rules.plan(width: width, height: height, maxTiles: maxTiles, limits: limits)
    }

    /// A prompt as text, with `<image>` or the marks that open and close a picture where one goes.
    ///
    /// The mark of an image token may stand between these. Without pictures `<image>` is plain text.
    package func prompt(
        text: String, images: [PlannedImage], addSpecialTokens: Bool,
    ) throws(PromptError) -> PreparedPrompt {
        guard let rules else {
            return try expand(tokenizer.encode(text, addSpecialTokens: addSpecialTokens), images: images)
        }
        let tagged =
            images.isEmpty
            ? rules.completed(text)
            : rules.numbered(rules.completed(text.replacing("<image>", with: rules.place)))
        return try expand(tokenizer.encode(tagged, addSpecialTokens: addSpecialTokens), images: images)
    }

    /// A prompt as token ids; pictures go where the ids of `<img></img>` stand, or
    /// those with one image token between them.
    package func prompt(tokenIDs: [Int], images: [PlannedImage]) throws(PromptError) -> PreparedPrompt {
        var ids: [Int32] = []
        ids.reserveCapacity(tokenIDs.count)
        for id in tokenIDs {
            guard id >= 0, id < vocabularyCount, let id = Int32(exactly: id) else {
                throw .tokenIDOutOfRange(limit: vocabularyCount)
            }
            ids.append(id)
        }
        return try expand(ids, images: images)
    }

    /// A chat, rendered by the checkpoint's template.
    ///
    /// What the client wrote is text, also where it spells a special token or the mark of a picture.
    package func prompt(
        conversation: Conversation, images: [PlannedImage],
    ) throws(PromptError) -> PreparedPrompt {
        guard let template else { throw .noChatTemplate }
        guard let scalar = conversation.unusedScalar else { throw .unusableCharacters }
        var isShielded = false
        var text: String
        do throws(PromptError) {
            text = try template.render(conversation) { text in
                let shielded = shield.applied(to: text, scalar)
                if shielded.utf8.count != text.utf8.count { isShielded = true }
                return shielded
            }
        } catch {
            // A template may repeat what it refuses.
            if case .template(let message) = error {
                throw .template(message: message.replacing(String(scalar), with: ""))
            }
            throw error
        }
        if let rules, !images.isEmpty {
            let marks = [
                rules.start + rules.context + rules.end, rules.context, "<image>", rules.pair, rules.place,
            ]
            guard let mark = marks.lazy.map({ ($0, text.count(of: $0)) }).first(where: { $0.1 > 0 }) else {
                throw .imageCountMismatch(tagCount: 0, imageCount: images.count, tag: rules.context)
            }
            guard mark.1 == images.count else {
                throw .imageCountMismatch(tagCount: mark.1, imageCount: images.count, tag: mark.0)
            }
            text = rules.numbered(text.replacing(mark.0, with: rules.pair))
        }
        return try expand(tokenizer.encode(text, shield: isShielded ? scalar : nil), images: images)
    }

    /// Puts the image tokens of each picture between the ids that open and close one.
    ///
    /// Linear in the prompt's length.
    private func expand(_ ids: [Int32], images: [PlannedImage]) throws(PromptError) -> PreparedPrompt {
        guard !ids.isEmpty else { throw .empty }
        guard let markers, let rules else {
            guard images.isEmpty else { throw .imagesNotSupported }
            return PreparedPrompt(tokenIDs: ids)
        }
        let ids = images.isEmpty && !markers.areNumbered ? ids : markers.pairs(in: ids)
        let pairs = zip(ids, ids.dropFirst() + [-1]).count { markers.isPlace($0, $1) }
        guard pairs == images.count else {
            throw .imageCountMismatch(tagCount: pairs, imageCount: images.count, tag: rules.place)
        }
        guard pairs > 0 else { return PreparedPrompt(tokenIDs: ids) }
        var expanded: [Int32] = []
        expanded.reserveCapacity(ids.count + images.reduce(0) { $0 + $1.tokenCount })
        var spans: [ImageSpan] = []
        for (id, next) in zip(ids, ids.dropFirst() + [-1]) {
            let isPlace = markers.isPlace(id, next)
            // A mark that stands alone is itself one of the image tokens.
            if !isPlace || markers.around != nil { expanded.append(id) }
            guard isPlace else { continue }
            let image = images[spans.count]
            if let frame = image.frame {
                spans.append(
                    ImageSpan(
                        key: image.key, runs: try append(frame, of: image, markers.context, to: &expanded)))
                continue
            }
            spans.append(
                ImageSpan(
                    key: image.key, start: expanded.count, tokenCount: image.tokenCount,
                    columns: image.columns))
            expanded += repeatElement(markers.context, count: image.tokenCount)
        }
        return PreparedPrompt(tokenIDs: expanded, images: spans)
    }

    /// Appends `frame` with runs of `context` for its marks, as many as the tokens of `image`; says where they stand.
    private func append(
        _ frame: String, of image: PlannedImage, _ context: Int32, to expanded: inout [Int32],
    ) throws(PromptError) -> [Range<Int>] {
        let ids = tokenizer.encode(frame), count = ids.count { $0 == context }
        // Some vocabulary may have the mark as an ordinary token, which text does not become.
        guard count > 0, image.tokenCount >= count else { throw .missingMarkers }
        let length = image.tokenCount / count
        var runs: [Range<Int>] = []
        for id in ids {
            guard id == context else {
                expanded.append(id)
                continue
            }
            runs.append(expanded.count..<(expanded.count + length))
            expanded += repeatElement(context, count: length)
        }
        return runs
    }
}
