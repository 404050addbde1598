/// Tokenizer files of a few tokens, for tests of one setting.
enum TinyTokenizer {
    static let byteLevel =
        #"{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}"#

    /// A `tokenizer.json` with the given parts.
    static func json(
        vocabulary: String = #""a":0,"b":1,"ab":2,"Ġ":3,"Ġab":4"#, merges: String = "", added: String = "",
        normalizer: String = "null", preTokenizer: String = byteLevel, postProcessor: String = "null",
        decoder: String = byteLevel, model: String = ""
    ) -> String {
        """
        {"version":"1.0","added_tokens":[\(added)],"normalizer":\(normalizer),"pre_tokenizer":\(preTokenizer),
        "post_processor":\(postProcessor),"decoder":\(decoder),
        "model":{"type":"BPE",\(model)"vocab":{\(vocabulary)},"merges":[\(merges)]}}
        """
    }
}
