import Engine
import JSON
import NIOCore
import Testing

@testable import Serving

/// Error bodies of both APIs.
struct ErrorBodyTests {
    private func json(_ error: ServingError, _ dialect: Dialect) -> String {
        String(decoding: ErrorBody.json(error, dialect: dialect), as: UTF8.self)
    }

    @Test func `both APIs have their own types and codes`() {
        let error = ServingError.badRequest("top_p must be above 0", param: "top_p")
        #expect(
            json(error, .native)
                == #"{"error":{"message":"top_p must be above 0","type":"BadRequestError","param":"top_p","code":400}}"#
        )
        #expect(
            json(error, .openAI)
                == #"{"error":{"message":"top_p must be above 0","type":"invalid_request_error","param":"top_p","code":null}}"#
        )
        #expect(json(.unknownModel, .openAI).contains(#""param":"model","code":"model_not_found""#))
    }

    @Test(arguments: [
        (400, "BadRequestError", "invalid_request_error"), (404, "NotFoundError", "invalid_request_error"),
        (405, "BadRequestError", "invalid_request_error"), (408, "BadRequestError", "invalid_request_error"),
        (413, "BadRequestError", "invalid_request_error"), (415, "BadRequestError", "invalid_request_error"),
        (431, "BadRequestError", "invalid_request_error"), (429, "RateLimitError", "rate_limit_error"),
        (500, "InternalServerError", "server_error"), (503, "InternalServerError", "server_error"),
    ])
    func `each status has its type`(status: Int, native: String, openAI: String) throws {
        let errors: [ServingError] = [
            .badRequest("x"), .unknownRoute, .methodNotAllowed(allow: "GET"), .requestTimeout,
            .bodyTooLarge(limit: 1),
            .notJSON, .headersTooLarge, .tooManyRequests, .failed, .shuttingDown,
        ]
        let error = try #require(errors.first { $0.status == status })
        #expect(json(error, .native).contains("\"type\":\"\(native)\""))
        #expect(json(error, .native).contains("\"code\":\(status)"))
        #expect(json(error, .openAI).contains("\"type\":\"\(openAI)\""))
    }

    @Test func `what is busy says when to try again`() {
        #expect(ServingError.tooManyRequests.retryAfter != nil && ServingError.shuttingDown.retryAfter != nil)
        #expect(ServingError(.queueFull, promptParam: "p", imageParam: "i") == .tooManyRequests)
        #expect(
            ServingError(.promptTooLong(tokenCount: 9, limit: 8), promptParam: "p", imageParam: "i").param
                == "p")
        #expect(
            ServingError(.tooManyImages(count: 9, limit: 8), promptParam: "p", imageParam: "i").param == "i")
    }

    @Test func `a key of the body is told only if it is one of ours`() {
        let error = JSONError(kind: .loneSurrogate, offset: 3, key: "inputs")
        #expect(ServingError(error, fields: ["inputs"]).param == "inputs")
        #expect(ServingError(error, fields: ["messages"]).param == nil)
    }

    @Test func `events have the shape of their API`() {
        func text(_ dialect: Dialect) -> String {
            var buffer = EventStream.event(Array("{}".utf8), dialect: dialect)
            return buffer.readString(length: buffer.readableBytes) ?? ""
        }
        #expect(text(.native) == "data:{}\n\n")
        #expect(text(.openAI) == "data: {}\n\n")
    }
}
