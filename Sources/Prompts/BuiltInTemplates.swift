/// The conversation formats of checkpoints that bring no chat template; OpenGVLab's name theirs in `template`.
///
/// https://github.com/OpenGVLab/InternVL/blob/main/internvl_chat/internvl/conversation.py
package enum BuiltInTemplates {
    /// A format: system text, then turns, each opened by its role and closed by a separator.
    private struct Format {
        /// What stands before and after the role that opens a turn.
        let opening: (String, String)
        let separator: String
        /// The system text of a conversation that brings none.
        let system: String

        /// The format as a Jinja template, its contents being strings.
        var source: String {
            let open = { (role: String) in "'\(opening.0)' + \(role) + '\(opening.1)\\n'" }
            return """
                {%- if not messages or messages[0].role != 'system' -%}
                {{ \(open("'system'")) + '\(system)\(separator)' }}
                {%- endif -%}
                {%- for message in messages -%}
                {{ \(open("message.role")) + message.content + '\(separator)' }}
                {%- endfor -%}
                {%- if add_generation_prompt %}{{ \(open("'assistant'")) }}{% endif -%}
                """
        }
    }

    private static let newSystem =
        "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。"
    private static let oldSystem =
        "你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫InternVL, 是一个有用无害的人工智能助手。"

    /// ChatML as Qwen and Qwen-VL are trained with: a picture may come as a part of the content.
    ///
    /// https://github.com/QwenLM/Qwen-VL/blob/master/README.md
    private static let qwen = """
        {%- if not messages or messages[0].role != 'system' -%}
        {{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
        {%- endif -%}
        {%- for message in messages -%}
        {{ '<|im_start|>' + message.role + '\\n' }}
        {%- if message.content is string -%}
        {{ message.content }}
        {%- else -%}
        {%- for part in message.content -%}
        {%- if part.type == 'image' %}{{ '<img></img>' }}{% else %}{{ part.text }}{% endif -%}
        {%- endfor -%}
        {%- endif -%}
        {{ '<|im_end|>\\n' }}
        {%- endfor -%}
        {%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif -%}
        """

    /// The Jinja source of the format called `name`; nil for one that is not known.
    package static func source(named name: String) -> String? {
        if name == "qwen" { return qwen }
        let chatML = ("<|im_start|>", "")
        let format: Format? =
            switch name {
            case "internvl2_5": Format(opening: chatML, separator: "<|im_end|>\\n", system: newSystem)
            case "Hermes-2", "internlm2-chat":
                Format(opening: chatML, separator: "<|im_end|>", system: oldSystem)
            case "phi3-chat": Format(opening: ("<|", "|>"), separator: "<|end|>", system: oldSystem)
            default: nil
            }
        return format?.source
    }
}
