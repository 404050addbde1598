/// The control tokens of Qwen and Qwen-VL, which follow the ranks of `qwen.tiktoken` in this order.
package enum QwenTokens {
    /// The texts of those that Qwen has too.
    static let text: [String] =
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + (0..<205).map { "<|extra_\($0)|>" }

    /// The texts of all that Qwen-VL has.
    package static let all: [String] =
        text + [
            "<ref>", "</ref>", "<box>", "</box>", "<quad>", "</quad>", "<img>", "</img>", "<imgpad>",
        ]
}
