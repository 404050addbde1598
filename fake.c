#include <string.h>
#include <stdlib.h>
int cuInit(){return 0;}
int cuDriverGetVersion(int*v){*v=13000;return 0;}
int cuDeviceGetCount(int*v){*v=1;return 0;}
int cuDeviceGet(int*d,int o){*d=0;return 0;}
int cuDeviceGetName(char*n,int l,int d){strcpy(n,"Fake GPU");return 0;}
int cuDeviceGetAttribute(int*v,int a,int d){*v=a==75?9:a==76?0:a==16?132:a==97?232448:0;return 0;}
int cuDevicePrimaryCtxRetain(void**c,int d){*c=(void*)1;return 0;}
int cuCtxSetCurrent(){return 0;}
int cuMemGetInfo_v2(size_t*f,size_t*t){*f=4ull<<30;*t=4ull<<30;return 0;}
int cuMemAlloc_v2(unsigned long long*a,size_t n){*a=(unsigned long long)calloc(1,n);return 0;}
int cuMemFree_v2(unsigned long long a){free((void*)a);return 0;}
int cuMemHostAlloc(void**p,size_t n,unsigned f){*p=malloc(n);return 0;}
int cuMemFreeHost(void*p){free(p);return 0;}
int cuMemcpyHtoDAsync_v2(unsigned long long t,const void*s,size_t n,void*st){memcpy((void*)t,s,n);return 0;}
int cuMemcpyDtoHAsync_v2(void*t,unsigned long long s,size_t n,void*st){memcpy(t,(void*)s,n);return 0;}
int cuMemcpyDtoDAsync_v2(){return 0;}
int cuMemsetD8Async(unsigned long long t,unsigned char v,size_t n,void*st){memset((void*)t,v,n);return 0;}
int cuStreamCreate(){return 0;}
int cuStreamDestroy_v2(){return 0;}
int cuStreamSynchronize(){return 0;}
int cuEventCreate(){return 0;}
int cuEventDestroy_v2(){return 0;}
int cuEventRecord(){return 0;}
int cuEventSynchronize(){return 0;}
int cuEventElapsedTime(){return 0;}
int cuModuleLoadData(){return 0;}
int cuModuleGetFunction(){return 0;}
int cuFuncSetAttribute(){return 0;}
int cuOccupancyMaxActiveBlocksPerMultiprocessor(int*b,void*f,int t,size_t s){*b=3;return 0;}
int cuLaunchKernelEx(){return 0;}
int cuStreamBeginCapture_v2(){return 0;}
int cuStreamEndCapture(){return 0;}
int cuGraphInstantiateWithFlags(){return 0;}
int cuGraphLaunch(){return 0;}
int cuGraphDestroy(){return 0;}
int cuGraphExecDestroy(){return 0;}
int cuGetErrorString(int e,const char**t){*t="fake";return 0;}
int nvrtcVersion(){return 0;}
int nvrtcCreateProgram(){return 0;}
int nvrtcDestroyProgram(){return 0;}
int nvrtcCompileProgram(){return 0;}
int nvrtcGetCUBINSize(void*p,size_t*s){*s=16;return 0;}
int nvrtcGetCUBIN(){return 0;}
int nvrtcGetProgramLogSize(){return 0;}
int nvrtcGetProgramLog(){return 0;}
const char*nvrtcGetErrorString(int e){return "fake";}
int cublasLtCreate(){return 0;}
size_t cublasLtGetVersion(void){return 130000;}
int cublasLtMatmul(){return 0;}
int cublasLtMatmulDescCreate(){return 0;}
int cublasLtMatmulDescDestroy(){return 0;}
int cublasLtMatmulDescSetAttribute(){return 0;}
int cublasLtMatrixLayoutCreate(){return 0;}
int cublasLtMatrixLayoutDestroy(){return 0;}
int cublasLtMatmulPreferenceCreate(){return 0;}
int cublasLtMatmulPreferenceDestroy(){return 0;}
int cublasLtMatmulPreferenceSetAttribute(){return 0;}
int cublasLtMatmulAlgoGetHeuristic(void*h,void*p,void*a,void*b,void*c,void*d,void*pr,int w,void*r,int*f){memset(r,0,96);*f=1;return 0;}
