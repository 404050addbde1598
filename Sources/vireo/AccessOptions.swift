import ArgumentParser
import Serving

/// Who may ask, and how the connection is kept from others.
struct AccessOptions: ParsableArguments {
    @Option(
        name: .flag("api_key"),
        help: "A key that clients must send (Authorization: Bearer KEY); may be repeated. Also VIREO_API_KEY."
    )
    var apiKeys: [String] = []

    @Option(
        name: .flag("cors_origins"),
        help:
            "Origins of web pages that may read answers, with commas between, or * for all; may be repeated.")
    var originLists: [String] = []

    @Option(
        name: .flag("tls_cert"), help: "A PEM file of the server's certificate and its chain: serve HTTPS.")
    var certificateFile: String?

    @Option(name: .flag("tls_key"), help: "A PEM file of the certificate's private key.")
    var keyFile: String?

    /// The origins, one by one.
    var origins: [String] {
        originLists.flatMap { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }
    }

    func validate() throws {
        guard apiKeys.allSatisfy(APIKeys.isValid) else {
            throw ValidationError("--api_key must be 1 to 1024 visible ASCII characters")
        }
        for origin in origins where !CrossOriginPolicy.isValid(origin) {
            throw ValidationError("--cors_origins must be * or like https://host:port, not \(origin)")
        }
        guard (certificateFile == nil) == (keyFile == nil) else {
            throw ValidationError("--tls_cert and --tls_key need each other")
        }
    }

    /// The keys of the flags and of the environment.
    func keys() throws -> APIKeys {
        guard let key = Environment.apiKey else { return APIKeys(apiKeys) }
        guard APIKeys.isValid(key) else {
            throw ValidationError("VIREO_API_KEY must be 1 to 1024 visible ASCII characters")
        }
        return APIKeys(apiKeys + [key])
    }

    /// The certificate and key of the flags.
    func identity() throws -> TLSIdentity? {
        guard let certificateFile, let keyFile else { return nil }
        do throws(TLSFileError) {
            return try TLSIdentity(certificateFile: certificateFile, keyFile: keyFile)
        } catch {
            throw StartError("\(error); give PEM files with --tls_cert and --tls_key")
        }
    }
}
