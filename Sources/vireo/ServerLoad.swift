import AsyncHTTPClient
import Benchmarks
import JSON
import NIOCore
import NIOHTTP1

/// The requests of `vireo bench serve`.
struct ServerLoad: Sendable {
    let url: String
    let model: String
    let inputWords: Int
    let outputLength: Int
    let imageCount: Int
    let imageSize: PictureSize
    /// A picture to send instead of noise.
    let file: [UInt8]?
    let distinctImages: Int?
    let seed: UInt64

    /// One request; a failed one has no `completed`.
    func ask(_ client: HTTPClient, index: Int, start: Double) async -> RequestTimes {
        var request = HTTPClientRequest(url: "\(url)/v1/chat/completions")
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        request.body = .bytes(ByteBuffer(bytes: body(index: index)))
        var times = RequestTimes(sent: BenchStep.now - start)
        guard let response = try? await client.execute(request, timeout: .hours(1)), response.status == .ok
        else {
            return times
        }
        var reader = EventReader()
        do {
            for try await part in response.body {
                for event in reader.append(part.readableBytesView) { take(event, into: &times, start: start) }
            }
        } catch {
            times.completed = nil
        }
        return times
    }

    private func take(_ event: [UInt8], into times: inout RequestTimes, start: Double) {
        if event.elementsEqual("[DONE]".utf8) {
            times.completed = BenchStep.now - start
            return
        }
        guard let json = try? JSONValue(reading: event) else { return }
        if let usage = json["usage"].object {
            times.promptTokens = usage["prompt_tokens"]?.int ?? 0
            times.outputTokens = usage["completion_tokens"]?.int ?? 0
        }
        if let text = json["choices"].array?.first?["delta"]["content"].string, !text.isEmpty {
            times.pieces.append(BenchStep.now - start)
        }
    }

    private func body(index: Int) -> [UInt8] {
        var random = LoadRandom(seed: seed &+ UInt64(index) &* 977)
        let text = (0..<inputWords).map { _ in Self.words[random.below(Self.words.count)] }.joined(
            separator: " ")
        return JSONWriter.bytes { json in
            json.object { json in
                json.member("model", model)
                json.member("max_tokens", outputLength)
                json.member("min_tokens", outputLength)
                json.member("ignore_eos", true)
                json.member("temperature", 0)
                json.member("stream", true)
                json.object("stream_options") { $0.member("include_usage", true) }
                json.array("messages") { json in
                    json.object { json in
                        json.member("role", "user")
                        json.array("content") { json in
                            for number in 0..<imageCount { writeImage(&json, index * imageCount + number) }
                            json.object { json in
                                json.member("type", "text")
                                json.member("text", text)
                            }
                        }
                    }
                }
            }
        }
    }

    private func writeImage(_ json: inout JSONWriter, _ number: Int) {
        let picture = distinctImages.map { number % $0 } ?? number
        let file = PictureFile.picture(seed &+ UInt64(picture), of: file, size: imageSize)
        json.object { json in
            json.member("type", "image_url")
            json.object("image_url") { json in
                json.member("url", "data:image/png;base64," + Base64Text.encode(file))
            }
        }
    }

    private static let words = [
        "apple", "river", "stone", "green", "seven", "cloud", "paper", "train", "light", "mouse", "table",
        "quiet",
        "north", "early", "bread", "glass",
    ]
}
