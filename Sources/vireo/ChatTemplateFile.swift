import Checkpoints
import JSON
import Jinja
import Prompts

/// Finds a checkpoint's chat template in the places where it may stand.
enum ChatTemplateFile {
    /// The template of `override`, else of the folder's chat_template.jinja, chat_template.json or
    /// tokenizer_config.json, else the built-in one that config.json names; nil when there is none.
    static func load(
        folder: String, override: String?, builtIn: String?, rules: ImageRules?,
    ) throws -> ChatTemplate? {
        let tokenizer = try section("\(folder)/tokenizer_config.json")
        let found = try source(folder, override, tokenizer) ?? builtIn.flatMap(BuiltInTemplates.source)
        guard let source = found else { return nil }
        do throws(PromptError) {
            return try ChatTemplate(source: source, specials: specials(tokenizer), rules: rules)
        } catch {
            throw StartError("the chat template cannot be used: \(error.message)")
        }
    }

    private static func source(_ folder: String, _ override: String?, _ tokenizer: ConfigSection?) throws
        -> String?
    {
        if let override {
            guard let bytes = try Files.read(override, atMost: 4 << 20) else {
                throw StartError("--chat_template: there is no file \(override)")
            }
            return String(decoding: bytes, as: UTF8.self)
        }
        if let bytes = try Files.read("\(folder)/chat_template.jinja", atMost: 4 << 20) {
            return String(decoding: bytes, as: UTF8.self)
        }
        let file = try section("\(folder)/chat_template.json")
        return named(file?.value("chat_template")) ?? named(tokenizer?.value("chat_template"))
    }

    /// A template written as a string, or the one called "default" of a list.
    private static func named(_ value: JSONValue?) -> String? {
        if let text = value?.string { return text }
        let templates = value?.array?.compactMap(\.object) ?? []
        return templates.first { $0["name"]?.string == "default" }?["template"]?.string
    }

    private static func specials(_ tokenizer: ConfigSection?) -> [(String, Value)] {
        ["bos_token", "eos_token", "pad_token", "unk_token"].compactMap { name in
            let value = tokenizer?.value(name)
            return (value?.string ?? value?.object?["content"]?.string).map { (name, .string($0)) }
        }
    }

    private static func section(_ path: String) throws -> ConfigSection? {
        guard let bytes = try Files.read(path, atMost: 64 << 20) else { return nil }
        return try ConfigSection.parse(bytes, file: path)
    }
}
