// One function a route: decode, call the use case, encode.
#pragma once

#include "app/services.hpp"
#include "souk/http.hpp"

namespace souk::product::http_api {

using Answer = Task<Result<http::Response>>;

Answer list_products(app::Services& services, const CallContext& ctx, const http::Request& request);
Answer get_product(app::Services& services, const CallContext& ctx, const http::Request& request);
Answer post_product(app::Services& services, CallContext ctx, http::Request request);
Answer patch_product(app::Services& services, CallContext ctx, http::Request request);
Answer post_stock(app::Services& services, CallContext ctx, http::Request request);
Answer post_import(app::Services& services, CallContext ctx, http::Request request);
Answer get_audit(app::Services& services, CallContext ctx, http::Request request);

}  // namespace souk::product::http_api
