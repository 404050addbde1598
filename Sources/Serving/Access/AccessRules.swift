import HTTPTypes
import Hummingbird

/// Who may ask for what, before a route is looked at.
struct AccessRules: Sendable {
    let keys: APIKeys
    let crossOrigin: CrossOriginPolicy

    /// The routes that need no key: probes come without one.
    static let openRoutes: Set<RouteName> = [.health, .healthz, .liveness, .readiness]

    /// Throws `unauthorized` unless the request has a key or needs none.
    func check(_ request: Request, route: RouteName?) throws(ServingError) {
        guard keys.isRequired else { return }
        if let route, Self.openRoutes.contains(route) { return }
        guard keys.admit(request.headers[.authorization]) else { throw .unauthorized }
    }

    /// The answer to a browser's question, which comes without a key; nil for any other request.
    func preflight(_ request: Request, route: Route?) -> Reply? {
        guard let route, crossOrigin.isPreflight(request.method, request.headers) else { return nil }
        let methods = route.methods.map(\.rawValue).joined(separator: ", ")
        return Reply(fields: CrossOriginPolicy.preflightFields(methods: methods))
    }
}
