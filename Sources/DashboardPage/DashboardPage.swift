/// The files of the live page. The compiler embeds them, so the program that serves them needs no folder on disk.
///
/// The page requests everything by relative addresses, so it works behind a proxy that adds a path prefix. It obeys
/// `Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src
/// 'self'`. If there is a service for commands at another origin, `connect-src` must contain that origin too. One
/// script is not among the files: Chart.js, which is requested at ``chartScriptPath``. Without it the page shows tables
/// instead of charts.
public enum DashboardPage {
    /// A file that answers a GET request.
    public struct File: Sendable {
        /// The path at which it is served: `/` for the page itself, `/assets/…` for the files that the page loads.
        public let path: String
        /// The value of the header `Content-Type`.
        public let contentType: String
        public let bytes: [UInt8]
    }

    /// The path at which the page requests Chart.js 3 as a classic (UMD) script: the file `chart.min.js` of Debian's
    /// `libjs-chart.js`.
    public static let chartScriptPath = "/assets/chart.js"

    /// The page with the form for a new order.
    ///
    /// - Parameter commands: the address to which the browser sends commands. It may be relative, such as `./`. It must
    ///   not contain a character that HTML escapes.
    public static func files(commandsAt commands: String) -> [File] {
        files.map { file in
            guard file.path == "/" else { return file }
            let name = #"name="millrace-commands" content="#
            let page = String(decoding: file.bytes, as: UTF8.self)
                .replacing(name + "\"\"", with: name + "\"\(commands)\"")
            return File(path: file.path, contentType: file.contentType, bytes: Array(page.utf8))
        }
    }

    /// The page without the form for orders, and all files that it loads from its own server, except the script at
    /// ``chartScriptPath``.
    public static let files: [File] = embedded.map { name, bytes in
        File(path: name == "index.html" ? "/" : "/assets/\(name)", contentType: contentType(of: name), bytes: bytes)
    }

    /// The files of `Resources/` by their names. `EmbedFiles` creates an identifier for each and replaces `-` and `.`
    /// by `_`.
    static let embedded: [(name: String, bytes: [UInt8])] = [
        ("banner.js", PackageResources.banner_js),
        ("charts.js", PackageResources.charts_js),
        ("commands.js", PackageResources.commands_js),
        ("controls.js", PackageResources.controls_js),
        ("dom.js", PackageResources.dom_js),
        ("feed.js", PackageResources.feed_js),
        ("format.js", PackageResources.format_js),
        ("icon.svg", PackageResources.icon_svg),
        ("index.html", PackageResources.index_html),
        ("judgement.js", PackageResources.judgement_js),
        ("lookup.js", PackageResources.lookup_js),
        ("neworder.js", PackageResources.neworder_js),
        ("orders.js", PackageResources.orders_js),
        ("page.css", PackageResources.page_css),
        ("page.js", PackageResources.page_js),
        ("pipeline.js", PackageResources.pipeline_js),
        ("sales.js", PackageResources.sales_js),
        ("series.js", PackageResources.series_js),
        ("sse.js", PackageResources.sse_js),
        ("state.js", PackageResources.state_js),
        ("theme.js", PackageResources.theme_js),
    ]

    private static func contentType(of name: String) -> String {
        switch name.split(separator: ".").last {
        case "html": "text/html; charset=utf-8"
        case "css": "text/css; charset=utf-8"
        case "js": "text/javascript; charset=utf-8"
        case "svg": "image/svg+xml"
        default: "application/octet-stream"
        }
    }
}
