import Images

/// What Idefics3 and SmolVLM write round the image tokens of a picture's tiles.
///
/// https://github.com/huggingface/transformers/blob/main/src/transformers/models/idefics3/processing_idefics3.py
enum SplitFrame {
    /// A special token, which opens every tile and closes the picture.
    static let mark = "<fake_token_around_image>"

    /// The text of a picture cut by `plan`, with `context` once for each tile.
    ///
    /// The names of tiles are tokens in some vocabularies, in others words.
    static func text(_ plan: SplitPlan, context: String) -> String {
        var text = ""
        for row in 0..<plan.rows {
            for column in 0..<plan.columns {
                text += "\(mark)<row_\(row + 1)_col_\(column + 1)>\(context)"
            }
            text += "\n"
        }
        if plan.rows > 0 { text += "\n" }
        return "\(text)\(mark)<global-img>\(context)\(mark)"
    }
}
