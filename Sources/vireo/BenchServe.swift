import ArgumentParser
import AsyncHTTPClient
import Benchmarks
import Glibc
import JSON
import NIOCore

/// `vireo bench serve`: loads a server's chat API and prints the usual table.
struct BenchServe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Sends chat requests to a server, streamed, and prints throughput and latencies.",
        discussion: "Any server with OpenAI's /v1/chat/completions will do.")

    @Option(name: .flag("url"), help: "The server.")
    var url = "http://127.0.0.1:8000"

    @Option(name: .flag("model"), help: "The model's name; by default the first that the server lists.")
    var model: String?

    @Option(name: .flag("num_prompts"), help: "How many requests are sent.")
    var promptCount = 64

    @Option(name: .flag("max_concurrency"), help: "The most requests at once.")
    var concurrency = 8

    @Option(
        name: .flag("request_rate"),
        help: "Requests a second, at random times; by default as many as may run.")
    var rate: Double?

    @Option(name: .flag("input_words"), help: "Words of a prompt.")
    var inputWords = 64

    @Option(name: .flag("output_len"), help: "Tokens of an answer.")
    var outputLength = 32

    @Option(name: .flag("images"), help: "Pictures of a request.")
    var imageCount = 0

    @Option(name: .flag("image_size"), help: "Their size, WIDTHxHEIGHT.")
    var imageSize = PictureSize.tile

    @OptionGroup var picture: PictureFile

    @Option(
        name: .flag("distinct_images"), help: "How many different pictures there are; by default all differ.")
    var distinctImages: Int?

    @Option(name: .flag("seed"), help: "Decides prompts, pictures and times.")
    var seed: UInt64 = 0

    @Option(name: .flag("goodput_ttft_ms"), help: "Count requests whose first token comes within it as good.")
    var goodFirstToken: Double?

    @Option(name: .flag("goodput_tpot_ms"), help: "Count requests whose tokens come within it as good.")
    var goodToken: Double?

    @Flag(name: .flag("json"), help: "Print one line of JSON instead of the table.")
    var printsJSON = false

    func validate() throws {
        try Bounds.check("--num_prompts", promptCount, 1...10_000_000)
        try Bounds.check("--max_concurrency", concurrency, 1...10_000)
        try Bounds.check("--input_words", inputWords, 1...1_000_000)
        try Bounds.check("--output_len", outputLength, 1...1_000_000)
        try Bounds.check("--images", imageCount, 0...1000)
        try Bounds.check("--distinct_images", distinctImages, 1...10_000_000)
        guard (rate ?? 1) > 0 else { throw ValidationError("--request_rate must be above 0") }
    }

    func run() async throws {
        // The usual client opens eight connections to a server at most.
        var settings = HTTPClient.Configuration()
        settings.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = concurrency
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: settings)
        do {
            try await measure(client)
        } catch {
            try? await client.shutdown()
            throw error
        }
        try await client.shutdown()
    }

    private func measure(_ client: HTTPClient) async throws {
        let name = try await modelName(client)
        let load = ServerLoad(
            url: url, model: name, inputWords: inputWords, outputLength: outputLength, imageCount: imageCount,
            imageSize: imageSize, file: try picture.contents(), distinctImages: distinctImages, seed: seed)
        let start = BenchStep.now
        let requests = try await send(load, with: client, start: start)
        let report = ServingReport(
            requests, seconds: BenchStep.now - start,
            objectives: ServingReport.Objectives(
                timeToFirstToken: goodFirstToken.map { $0 / 1000 },
                timePerOutputToken: goodToken.map { $0 / 1000 }))
        if printsJSON { print(report.json) } else { for line in report.lines { print(line) } }
    }

    /// Sends all requests, at most `concurrency` at once and none before its time.
    private func send(
        _ load: ServerLoad, with client: HTTPClient, start: Double,
    ) async throws -> [RequestTimes] {
        try await withThrowingTaskGroup(of: RequestTimes.self) { group in
            var requests: [RequestTimes] = []
            var random = LoadRandom(seed: seed)
            var due = 0.0
            for index in 0..<promptCount {
                if index >= concurrency, let done = try await group.next() { requests.append(done) }
                if let rate {
                    // Exponential gaps: a Poisson process.
                    due += -log(1 - random.unit()) / rate
                    let wait = start + due - BenchStep.now
                    if wait > 0 { try await Task.sleep(for: .seconds(wait)) }
                }
                group.addTask { await load.ask(client, index: index, start: start) }
            }
            for try await done in group { requests.append(done) }
            return requests
        }
    }

    private func modelName(_ client: HTTPClient) async throws -> String {
        if let model { return model }
        let request = HTTPClientRequest(url: "\(url)/v1/models")
        guard let response = try? await client.execute(request, timeout: .seconds(10)),
            let body = try? await response.body.collect(upTo: 1 << 20),
            let json = try? JSONValue(reading: Array(body.readableBytesView)),
            let name = json["data"].array?.first?["id"].string
        else { throw StartError("\(url)/v1/models gives no model; is the server up? Name one with --model") }
        return name
    }
}
