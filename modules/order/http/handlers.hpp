// One function a route: decode, call the use case, encode.
#pragma once

#include "app/services.hpp"
#include "souk/http.hpp"

namespace souk::order::http_api {

using Answer = Task<Result<http::Response>>;

Answer post_order(app::Services& services, CallContext ctx, http::Request request);
Answer get_order(app::Services& services, CallContext ctx, http::Request request);
Answer list_orders(app::Services& services, CallContext ctx, http::Request request);
Answer post_cancel(app::Services& services, CallContext ctx, http::Request request);
Answer post_import(app::Services& services, CallContext ctx, http::Request request);
Answer get_import_summary(app::Services& services, CallContext ctx, http::Request request);
Answer get_audit(app::Services& services, CallContext ctx, http::Request request);

}  // namespace souk::order::http_api
