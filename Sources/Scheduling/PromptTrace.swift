/// What a router needs to know of a prompt: digests of its beginnings in whole pages, and its pictures.
///
/// Made by the same rules as the keys of kept pages, so that a beginning that a replica keeps has the digest it had when it
/// was sent there. A digest that two beginnings share sends a request to the wrong replica, which computes it all the same.
package struct PromptTrace: Sendable {
    /// A digest of the first page, of the first two, and so on.
    let beginnings: [UInt64]
    /// How many of these pages a replica could have; it always computes the last token.
    let usefulCount: Int
    /// Tokens of a page.
    let pageSize: Int
    let tokenCount: Int
    let images: [ImageSpan]

    /// The trace of a prompt for engines with pages of `pageSize` tokens; without beginnings where none are kept.
    ///
    /// `seed` keeps clients from choosing prompts of equal digests; it is the same for all prompts of a router.
    package init(_ prompt: PreparedPrompt, pageSize: Int, keepsPrefixes: Bool = true, seed: UInt64) {
        self.pageSize = pageSize
        tokenCount = prompt.tokenIDs.count
        images = prompt.images
        guard keepsPrefixes, prompt.usesPrefixCache else {
            beginnings = []
            usefulCount = 0
            return
        }
        var digests: [UInt64] = []
        digests.reserveCapacity(tokenCount / pageSize)
        var digest = seed
        for (index, key) in TokenKey.keys(of: prompt).enumerated() {
            digest = key.digest(after: digest, seed: seed)
            if (index + 1).isMultiple(of: pageSize) { digests.append(digest) }
        }
        beginnings = digests
        usefulCount = max(0, tokenCount - 1) / pageSize
    }
}

extension TokenKey {
    /// The digest of a sequence with this token behind one of digest `digest`.
    fileprivate func digest(after digest: UInt64, seed: UInt64) -> UInt64 {
        // Safe: wrapping, the product of two words is folded to one.
        let product = (digest &+ words.0 &+ 0x9e37_79b9_7f4a_7c15).multipliedFullWidth(
            by: words.1 ^ seed)
        return product.high ^ product.low
    }
}
