/// The control tokens of Qwen and Qwen-VL, which follow the ranks of `qwen.tiktoken` in this order.
package enum QwenTokens {
    /// Their texts.
    package static let all: [String] =
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + (0..<205).map { "<|extra_\($0)|>" } + [
            "<ref>", "</ref>", "<box>", "</box>", "<quad>", "</quad>", "<img>", "</img>", "<imgpad>",
        ]
}
