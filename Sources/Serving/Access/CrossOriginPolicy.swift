import HTTPTypes

/// Which web pages may read answers: the origins that browsers are told to let through.
package struct CrossOriginPolicy: Sendable {
    private let origins: Set<String>

    /// Takes origins as browsers write them, or `*` for all; with none, browsers are told nothing.
    package init(_ origins: [String] = []) { self.origins = Set(origins) }

    /// Whether a text is an origin: a scheme and a host in lower case, perhaps a port, and no path; or `*`.
    package static func isValid(_ origin: String) -> Bool {
        guard origin != "*" else { return true }
        guard let url = ImageURL(origin), url.target == "/", !origin.hasSuffix("/") else { return false }
        return !origin.contains("#") && origin == origin.lowercased()
    }

    /// What the origin of a request is told, if it is let through.
    private func allowed(_ headers: HTTPFields) -> String? {
        guard let origin = headers[.origin] else { return nil }
        if origins.contains("*") { return "*" }
        return origins.contains(origin) ? origin : nil
    }

    /// Whether a request is a browser's question before the real one, from an origin that is let through.
    func isPreflight(_ request: HTTPRequest.Method, _ headers: HTTPFields) -> Bool {
        request == .options && headers[.accessControlRequestMethod] != nil && allowed(headers) != nil
    }

    /// Adds the fields that the answer to a request with `headers` needs.
    func mark(_ fields: inout HTTPFields, for headers: HTTPFields) {
        guard !origins.isEmpty else { return }
        fields[.vary] = "Origin"
        guard let origin = allowed(headers) else { return }
        fields[.accessControlAllowOrigin] = origin
        fields[.accessControlExposeHeaders] = "X-Request-Id, Retry-After"
    }

    /// The fields that answer a preflight, beside those of every answer.
    static func preflightFields(methods: String) -> HTTPFields {
        [
            .accessControlAllowMethods: methods,
            .accessControlAllowHeaders: "Authorization, Content-Type, X-Request-Id",
            .accessControlMaxAge: "600",
        ]
    }
}
